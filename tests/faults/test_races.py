"""What one process does while another does something else: found by test_stress.py, made frequent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit import HOST

from docker_credential_ecr import cache, keeping, sweeping

Meanwhile = Callable[[Callable[[], object]], None]
SECONDS = 2  # of trying; one in some hundred goes wrong where anything does


@pytest.fixture
def meanwhile() -> Iterator[Meanwhile]:
    """Return a function that has something done again and again, until the test is over."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def start(work: Callable[[], object]) -> None:
        def repeat() -> None:
            while not over.is_set():
                work()

        threads.append(threading.Thread(target=repeat))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def login(now: float) -> cache.Token:
    return cache.Token(
        host=HOST,
        name=cache.LOGIN,
        secret="c2VjcmV0",
        issued=int(now),
        refresh=int(now) + 60,
        renew=int(now) + 60,
        expires=int(now) + 60,
    )


def test_an_empty_directory_is_swept_while_an_entry_is_written(
    tmp_path: Path, meanwhile: Meanwhile
) -> None:
    """A directory that goes between its making and the writing is made again: the disk is well."""
    folder = str(tmp_path)
    meanwhile(lambda: sweeping.sweep(folder))
    end = time.monotonic() + SECONDS
    tried = failed = 0

    while time.monotonic() < end:
        now = time.time()
        tried += 1
        failed += not keeping.write(folder, login(now), begun=now)
        try:
            os.unlink(f"{folder}/{HOST}/{cache.LOGIN}")
        except FileNotFoundError:
            failed += 1
    assert failed == 0, f"{failed} of {tried} logins were not kept"


def test_a_directory_is_swept_while_it_is_erased(tmp_path: Path, meanwhile: Meanwhile) -> None:
    """An erase that meets a sweep leaves its mark and says that all went."""
    folder = str(tmp_path)
    meanwhile(lambda: sweeping.sweep(folder))
    end = time.monotonic() + SECONDS
    tried = failed = 0

    while time.monotonic() < end:
        tried += 1
        failed += not keeping.erase(folder, HOST)
        try:
            os.unlink(f"{folder}/{HOST}/.erased")
        except FileNotFoundError:
            failed += 1
    assert failed == 0, f"{failed} of {tried} logouts left no mark"


def test_two_write_and_one_erases(tmp_path: Path, meanwhile: Meanwhile) -> None:
    """Writers and erasers of one host do not disturb each other; what is there is whole."""
    folder = str(tmp_path)
    meanwhile(lambda: keeping.erase(folder, HOST))
    meanwhile(lambda: keeping.write(folder, login(time.time()), begun=time.time()))
    end = time.monotonic() + SECONDS
    failed = 0

    while time.monotonic() < end:
        now = time.time()
        failed += not keeping.write(folder, login(now), begun=now)
        for token in cache.entries(folder, HOST):
            assert token.secret == "c2VjcmV0"
    assert failed == 0
