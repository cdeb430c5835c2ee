"""Small changes of the code that decides, each of which some unit test must notice (F21)."""
