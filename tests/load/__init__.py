"""T-08, load: what the engine keeps to when there is much of something.

`python -m tests.load F14 F20` measures those figures, without a name all of them, in the lengths of tests/budget.toml
(`TEST_BUDGET=figures`: those of a release), and ends with status 1 when one falls short.

| figure | module | promise |
|---|---|---|
| F13 | `waiting` | a waiting instance has no task, and how much memory it takes |
| F14 | `running` | ten thousand instances that run at once: memory, and how late the loop is |
| F15 | `transitions` | durable transitions per second, and how long a commit takes |
| F16 | `first_task` | from the request of a start to the call of its first task |
| F19 | `neighbour` | what one business domain feels of another one's flood |
| F20 | `overload` | memory and accepted work under ten times what the engine can do |

Each has an engine of its own, started as users start it, with the operators of `operators` installed beside it; loads
come from processes of their own (`bench.load`, `flood`). Each has a planted bug with which it falls short.
"""
