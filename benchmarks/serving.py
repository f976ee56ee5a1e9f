"""Load on a served model: many clients at once for a minute, each with its next request as soon as it has an answer.

    python -m multimodal_attn export RUN exported
    python benchmarks/serving.py exported photo.jpg another.jpg
    python benchmarks/serving.py exported photo.jpg --clients 256 --waiting 64 --seconds 20

The server is a process with one thread that computes, pinned to one core where the system can; the clients are another
process. Printed are requests a second, how long an answer took, what was answered, and the server's memory over time.
A request is lost if it got no answer at all. The second command asks for more than may wait: what finds no place is
answered 503, and comes again after the seconds that Retry-After says.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

_BOUNDARY = "multimodal-attn"
_SAMPLES = 7  # of memory


@dataclass
class Load:
    """What clients have seen.

    Attributes:
        statuses: of all answers.
        milliseconds: until each text.
        lost: requests without an answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    lost: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="exported")
    parser.add_argument("files", type=Path, nargs="+", help="photos or recordings, sent in turn")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=1, help="of the server, and cores that it has")
    parser.add_argument("--waiting", type=int, default=128, help="as of serve")
    parser.add_argument("--together", type=int, default=16, help="as of serve; 1: each request by itself")
    options = parser.parse_args()
    server, address, path = start(options)
    try:
        bodies = [body_of(file) for file in options.files]
        load, resident = asyncio.run(put_under_load(address, path, bodies, options, server.pid))
        rest = asyncio.run(one_more(address, path, bodies[0]))
    finally:
        server.terminate()
        status = server.wait()
    report(options, load, resident)
    print(f"afterwards: a request is answered {rest}; the server ends with status {status}")


def start(options: argparse.Namespace) -> tuple[subprocess.Popen[str], str, str]:
    """A server with its address and the path of what it does."""
    command = [sys.executable, "-m", "multimodal_attn", "serve", str(options.folder), "--port", "0"]
    command += ["--threads", str(options.threads), "--waiting", str(options.waiting)]
    command += ["--together", str(options.together)]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if len(cores) > options.threads:
        os.sched_setaffinity(server.pid, cores[: options.threads])
        os.sched_setaffinity(0, cores[options.threads :])
    assert server.stdout is not None
    line = server.stdout.readline()
    place = urlsplit(line.partition("POST ")[2].partition(";")[0])
    return server, place.netloc, place.path


def body_of(file: Path) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
    return head.encode() + file.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()


async def put_under_load(
    address: str, path: str, bodies: list[bytes], options: argparse.Namespace, server: int
) -> tuple[Load, list[float]]:
    """What so many clients see, and the server's resident megabytes while they ask."""
    load, end = Load(), time.perf_counter() + options.seconds
    clients = [client(address, path, bodies, number, end, load) for number in range(options.clients)]
    resident: list[float] = []

    async def look() -> None:
        for _ in range(_SAMPLES):
            resident.append(resident_megabytes(server))
            await asyncio.sleep(options.seconds / _SAMPLES)
        resident.append(resident_megabytes(server))

    await asyncio.gather(look(), *clients)
    return load, resident


async def client(address: str, path: str, bodies: list[bytes], number: int, end: float, load: Load) -> None:
    """Asks until the end; waits when it is told to."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.perf_counter() < end:
        begin = time.perf_counter()
        try:
            if connection is None:
                host, _, port = address.rpartition(":")
                connection = await asyncio.open_connection(host, int(port))
            status, headers = await ask(*connection, address, path, bodies[number % len(bodies)])
        except (OSError, asyncio.IncompleteReadError):
            load.lost += 1
            connection = None
            continue
        number += 1
        load.statuses[status] += 1
        if status == 200:
            load.milliseconds.append(1000 * (time.perf_counter() - begin))
        elif "retry-after" in headers:
            await asyncio.sleep(min(float(headers["retry-after"]), max(0.0, end - time.perf_counter())))
        if headers.get("connection") == "close":
            connection[1].close()
            connection = None
    if connection is not None:
        connection[1].close()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, path: str, body: bytes
) -> tuple[int, dict[str, str]]:
    """The status and the headers of an answer."""
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers


async def one_more(address: str, path: str, body: bytes) -> int:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    status, _ = await ask(reader, writer, address, path, body)
    writer.close()
    return status


def resident_megabytes(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def report(options: argparse.Namespace, load: Load, resident: list[float]) -> None:
    answered = load.statuses[200]
    times = np.percentile(load.milliseconds, [50, 99, 100]) if answered else [float("nan")] * 3
    print(
        f"{options.folder.name}: {options.clients} clients, {options.seconds:g} s, {options.threads} thread(s),"
        f" {options.together} together, {options.waiting} may wait"
    )
    print("| requests a second | 50th percentile ms | 99th ms | slowest ms | answers by status | lost |")
    print("| --- | --- | --- | --- | --- | --- |")
    statuses = ", ".join(f"{status}: {number}" for status, number in sorted(load.statuses.items()))
    print(
        f"| {answered / options.seconds:.1f} | {times[0]:.0f} | {times[1]:.0f} | {times[2]:.0f}"
        f" | {statuses} | {load.lost} |"
    )
    print(f"resident MB, from the beginning to the end: {', '.join(f'{one:.0f}' for one in resident)}")


if __name__ == "__main__":
    main()
