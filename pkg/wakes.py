"""Who is to be called when something under a key is new; asking about a key that nobody follows costs one look."""

from __future__ import annotations

from collections.abc import Callable


class Wakes:
    """Callbacks by key. Not for several threads."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._by_key: dict[str, dict[object, Callable[[int], None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def follow(self, key: str, wake: Callable[[int], None]) -> Callable[[], None]:
        """Have `wake` called with a number of bytes at each announcement; give what ends that (twice is no error)."""
        place = object()
        self._by_key.setdefault(key, {})[place] = wake

        def leave() -> None:
            following = self._by_key.get(key, {})
            following.pop(place, None)
            if not following:
                self._by_key.pop(key, None)

        return leave

    def announce(self, key: str, size_bytes: int) -> None:
        """Tell those who follow `key` that about `size_bytes` are new."""
        following = self._by_key.get(key)
        if following is not None:
            for wake in tuple(following.values()):
                wake(size_bytes)
