"""Several deliveries at once, and those of one key one after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from unibus.engine.deliveries import AnyDelivery
from unibus.engine.inbox import Inbox
from unibus.errors import MessageRejectedError
from unibus.specs import OrderingName, Subscription
from unibus.spi import Binding

T = TypeVar("T")
D = TypeVar("D", bound=AnyDelivery)
_LOOK_S = 0.1  # a program's stop event cannot wake anybody


class Lanes(Generic[T]):
    """Who may start next. Pure: whoever uses it from several threads has a lock of its own."""

    __slots__ = ("_busy", "_ready", "size")

    def __init__(self) -> None:
        self.size = 0
        self._ready: deque[tuple[Hashable, T]] = deque()
        self._busy: dict[Hashable, deque[T]] = {}

    def add(self, key: Hashable, item: T) -> bool:
        """Add *item* behind those of its *key*; return whether it may start at once.

        ``None`` is no key: such items wait for nobody.
        """
        self.size += 1
        if key is None:
            self._ready.append((key, item))
            return True
        behind = self._busy.get(key)
        if behind is not None:
            behind.append(item)
            return False
        self._busy[key] = deque()
        self._ready.append((key, item))
        return True

    def start(self) -> tuple[Hashable, T] | None:
        """Return the next item that may start, and its key; ``None`` if none may."""
        return self._ready.popleft() if self._ready else None

    def done(self, key: Hashable) -> bool:
        """Note that an item of *key* has ended; return whether another one may start now."""
        self.size -= 1
        if key is None:
            return False
        behind = self._busy[key]
        if behind:
            self._ready.append((key, behind.popleft()))
            return True
        del self._busy[key]
        return False

    def drain(self) -> list[T]:
        """Take out everything that was not started; of one key in order."""
        items: list[T] = []
        for key, item in self._ready:
            items.append(item)
            if key is not None:
                items += self._busy.pop(key)
        self._ready.clear()
        for behind in self._busy.values():
            items += behind
            behind.clear()
        self.size -= len(items)
        return items


class Crew(Generic[T]):
    """Threads that handle items, never more than *workers* at once, each key in order.

    Args:
        handle: Called with each item.
        workers: How many threads.
        window: Items that are started or wait for their turn, at most.

    Attributes:
        error: What was no ``Exception`` and ended a handler, and with it the work.
    """

    def __init__(self, handle: Callable[[T], None], workers: int, window: int) -> None:
        self._handle = handle
        self._window = window
        self._lanes: Lanes[T] = Lanes()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._is_ending = False
        self.error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"unibus-worker-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> frozenset[int]:
        """Start the threads; return them, as ``threading.get_ident`` names them."""
        for thread in self._threads:
            thread.start()
        return frozenset(thread.ident for thread in self._threads if thread.ident is not None)

    def put(self, key: Hashable, item: T, is_over: Callable[[], bool]) -> bool:
        """Have *item* handled in its turn, and wait until there is room for another one.

        Returns:
            Whether to go on: not when a handler has ended the work.
        """
        with self._lock:
            if self._lanes.add(key, item):
                self._work.notify()
            while self._lanes.size >= self._window and not self._is_ending and not is_over():
                self._room.wait(_LOOK_S)
            return not self._is_ending

    def end(self, *, drain: bool) -> list[T]:
        """Wait for what was started, with *drain* for nothing else; return what was not."""
        with self._lock:
            left = self._lanes.drain() if drain else []
            self._is_ending = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()
        return left + self._lanes.drain()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            key, item = job
            try:
                self._handle(item)
            except BaseException as error:  # noqa: BLE001  # raised again on the thread that waits
                self._stop(error)
            self._done(key)

    def _next(self) -> tuple[Hashable, T] | None:
        with self._lock:
            while self.error is None:
                job = self._lanes.start()
                if job is not None or (self._is_ending and not self._lanes.size):
                    return job
                self._work.wait()
        return None

    def _done(self, key: Hashable) -> None:
        with self._lock:
            may_start = self._lanes.done(key)
            if self._is_ending:
                self._work.notify_all()
            elif may_start:
                self._work.notify()
            self._room.notify()

    def _stop(self, error: BaseException) -> None:
        with self._lock:
            self.error = self.error or error
            self._is_ending = True


def share(
    crew: Crew[D],
    binding: Binding,
    inbox: Inbox,
    deliveries: Iterable[D],
    is_over: Callable[[], bool],
) -> None:
    """Have *crew* handle *deliveries* until *is_over*; what is not started then is released.

    Raises:
        BaseException: What ended a handler and is no ``Exception``.
    """
    settles_first = inbox.settlements.rules.settles_first
    inbox.insiders = crew.start()
    try:
        for delivery in deliveries:
            if not crew.put(lane(binding, delivery), delivery, is_over) or is_over():
                break
    finally:
        # What is settled already can only be handled, or be lost.
        for delivery in crew.end(drain=not settles_first):
            if not settles_first:
                delivery.release()
        inbox.insiders = frozenset()
    if crew.error is not None:
        raise crew.error


def lane(binding: Binding, delivery: AnyDelivery) -> Hashable:
    """Return what *delivery* has to wait for others of; ``None`` if for nobody."""
    ordering = _ordering(binding)
    if ordering == "none":
        return None
    if ordering == "topic":
        return True
    try:
        return delivery.key
    except MessageRejectedError:
        return None


def read_ahead(binding: Binding, workers: int, max_unsettled: int) -> int:
    """Return how many deliveries *workers* choose from.

    Where keys wait for one another, others have to be found meanwhile.
    """
    return workers * 2 if _ordering(binding) == "none" else max_unsettled


def _ordering(binding: Binding) -> OrderingName:
    spec = binding.spec
    return spec.topic.ordering if isinstance(spec, Subscription) else spec.ordering
