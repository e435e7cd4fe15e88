"""Redis forgets, goes back, is full or holds garbage; Redis and Cassandra are slow or break their connections."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

import redis

from schemas.configuration.site import key_prefix
from schemas.keys import Signal, fence_key, values_key
from tests.faults.disturbances import server_killed
from tests.faults.run import Fault, Run, call
from tests.faults.world import ClusterWorld

DEADLINE_SECONDS = 1.0
"""Within this time a read answers, whatever its stores do."""
SLOW_SECONDS = 2.0


def flush(run: Run) -> None:
    client = _redis(run)
    for _ in run.repeat():
        run.pause(2.0, 4.0)
        client.flushall()
        run.recover()


def append_only_file_cut(run: Run) -> None:
    """Redis dies, and comes back with what it had two seconds before, as after a failover to a replica that was behind."""
    assert isinstance(run.world, ClusterWorld)
    for _ in run.repeat():
        run.pause(2.0, 4.0)
        copy = _copied_append_only_files(run.world)
        time.sleep(2.0)
        with server_killed(run.world, "redis"):
            files = _append_only_files(run.world)
            shutil.rmtree(files)
            copy.rename(files)
        run.recover()


def _append_only_files(world: ClusterWorld) -> Path:
    return world.servers.data("redis") / "appendonlydir"


def _copied_append_only_files(world: ClusterWorld) -> Path:
    """Returns a folder with the append-only files as they are now. They are copied again if Redis rewrites them meanwhile."""
    files, copy = _append_only_files(world), world.folder / "appendonlydir"
    manifest = files / "appendonly.aof.manifest"
    while True:
        shutil.rmtree(copy, ignore_errors=True)
        before = manifest.read_bytes()
        with suppress(shutil.Error):
            shutil.copytree(files, copy)
            if manifest.read_bytes() == before:
                return copy


def memory_full(run: Run) -> None:
    """Redis refuses writes for some seconds, because its memory is full."""
    client = _redis(run)
    for _ in run.repeat():
        run.pause(2.0, 4.0)
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]))
        try:
            run.pause(4.0, 8.0)
            status, _ = call(f"{run.world.api}/v1/users/probe/recommendations")
            run.expect(status == 200, f"a read with Redis full got {status}")
        finally:
            client.config_set("maxmemory", 0)
        run.recover()


def slow_stores(run: Run) -> None:
    """In turn, Redis and Cassandra answer two seconds late, and break all connections."""
    with run.preparing():
        _train(run)
    slowest = 0.0
    for number in run.repeat():
        proxy = run.world.proxies[("redis", "cassandra")[number % 2]]
        run.pause(1.0, 2.0)
        if number // 2 % 2:
            for _ in range(20):
                proxy.reset()
                slowest = max(slowest, _read(run))
                run.pause(0.1, 0.4)
        else:
            proxy.delay = SLOW_SECONDS
            slowest = max(slowest, *(_read(run) for _ in range(20)))
        proxy.heal()
        run.recover()
    run.notes.append(f"the slowest of the reads during the faults took {slowest:.2f} s")
    run.expect(slowest <= DEADLINE_SECONDS, f"a read took {slowest:.2f} s; at most {DEADLINE_SECONDS:g} s are allowed")


def _read(run: Run) -> float:
    began = time.monotonic()
    status, answer = call(f"{run.world.api}/v1/users/plain-{run.random.randrange(300)}/recommendations?count=10")
    run.expect(status == 200, f"a read got {status} {answer}")
    time.sleep(0.05)
    return time.monotonic() - began - 0.05


def _train(run: Run) -> None:
    done = run.world.freshet("train")
    run.expect(done.returncode == 0, f"freshet train: {done.stdout[-500:]} {done.stderr[-500:]}")


def garbage(run: Run) -> None:
    """A value, a cell, a fence or a whole key of Redis is garbage, or of another type."""
    client, prefix = _redis(run), key_prefix(run.world.settings.prefix)
    for number in run.repeat():
        run.pause(2.0, 4.0)
        partition = run.random.randrange(run.world.settings.partitions)
        signal = run.random.choice([Signal.USERS, Signal.AGGREGATES, Signal.ITEMS])
        values, fence = values_key(prefix, partition, signal), fence_key(prefix, partition, signal)
        match number % 4:
            case 0:
                keys = client.hkeys(values)
                client.hset(values, run.random.choice(keys) if keys else "u:nobody", b"\xc1 garbage")
            case 1:
                client.set(fence, "garbage")
            case 2:
                client.delete(values)
                client.set(values, "of another type")
            case 3:
                client.delete(fence)
                client.rpush(fence, "of another type")
        for _ in range(10):
            _read(run)
        run.recover()


def _redis(run: Run) -> redis.Redis:
    return redis.Redis.from_url(run.world.settings.redis)


def signals_lost(run: Run) -> None:
    """The file of the signals is removed while the process is down, as after a restore of the log alone."""
    process = run.world.processes[run.world.collecting]
    for _ in run.repeat():
        run.pause(1.0, 3.0)
        process.kill()
        for path in run.world.settings.data.glob("signals.sqlite*"):
            with suppress(FileNotFoundError):
                path.unlink()
        process.start()
        run.recover()


FAULTS = [
    Fault(
        10,
        "redis-flushed",
        "`FLUSHALL` of Redis under load",
        "rebuilt from the log by itself",
        flush,
        repetitions=5,
        stacks=("cluster",),
    ),
    Fault(
        10,
        "redis-behind",
        "Redis comes back with its append-only file cut by 2 s",
        "resumed from the older fences by itself",
        append_only_file_cut,
        repetitions=5,
        stacks=("cluster",),
    ),
    Fault(
        10,
        "redis-full",
        "Redis reaches `maxmemory` for some seconds",
        "reads answer; resumed by itself",
        memory_full,
        repetitions=5,
        stacks=("cluster",),
    ),
    Fault(
        10,
        "signals-removed",
        "the file of the signals is removed",
        "rebuilt from the log by itself",
        signals_lost,
        repetitions=5,
        stacks=("embedded",),
    ),
    Fault(
        11,
        "slow-stores",
        "Redis and Cassandra answer 2 s late, or break their connections",
        "every read answers within a second, none with 5xx",
        slow_stores,
        repetitions=8,
        stacks=("cluster",),
        proxied=("redis", "cassandra"),
    ),
    Fault(
        12,
        "garbage-in-redis",
        "a value, a cell or a fence in Redis is garbage, or a key is of another type",
        "that signal of that partition heals from the log; others are untouched",
        garbage,
        repetitions=12,
        stacks=("cluster",),
    ),
]
