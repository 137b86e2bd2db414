"""What serve_load.py and serve_attack.py share: the stub server, its memory, the client, medians."""
import argparse
import json
import resource
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def arguments(about):
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="where bench_serve_server and _client are")
    parser.add_argument("--out", type=Path, help="the result page (default: bench/results)")
    return parser


def raise_file_limit():
    """Of this process and those that it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def process_status(pid, name):
    """A line of /proc/PID/status in KB, such as VmRSS, or VmHWM for the most there was."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


class StubServer:
    """bench_serve_server for as long as the block lasts."""

    def __init__(self, build, *flags):
        self.command = [str(build / "bench_serve_server"), "--tokenizer", str(ROOT / "models/hadal-nano"), *map(str, flags)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.handler = None  # afterwards: how long the engine's thread was in the events' handlers
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            last, _ = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.terminate()  # a second time: at once
            last, _ = self.process.communicate(timeout=10)
        self.handler = json.loads(last) if last.strip() else None
        if self.process.returncode != 0:
            raise RuntimeError(f"the server ended with {self.process.returncode}")

    def status(self, name):
        return process_status(self.process.pid, name)

    def cpu_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


class RunningServer:
    """One that somebody else has started."""

    def __init__(self, port, pid):
        self.port, self.pid = port, pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def status(self, name):
        return process_status(self.pid, name)


class Client:
    """bench_serve_client, running; result() waits for its JSON."""

    def __init__(self, build, port, *arguments, nice=0, options=()):
        self.process = subprocess.Popen(["nice", "-n", str(nice), str(build / "bench_serve_client"), "--port", str(port),
                                         *map(str, options), *map(str, arguments)], stdout=subprocess.PIPE, text=True)

    def result(self):
        out, _ = self.process.communicate(timeout=200)
        if self.process.returncode != 0:
            raise RuntimeError(f"the client ended with {self.process.returncode}")
        return json.loads(out)

    def stop(self):
        self.process.kill()
        self.process.wait()


class OtherWork:
    """The share of this machine's processors that processes other than this one's children had since begin()."""

    @staticmethod
    def _busy():
        fields = [int(field) for field in open("/proc/stat").readline().split()[1:]]
        return sum(fields[:8]) - fields[3] - fields[4], sum(fields[:8])

    @staticmethod
    def _own():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
        return sum(one.ru_utime + one.ru_stime for one in usage) * 100

    def begin(self):
        self.before = *self._busy(), self._own()
        return self

    def share(self):
        """The children must have ended."""
        busy, total = self._busy()
        return max(0.0, (busy - self.before[0] - (self._own() - self.before[2])) / max(1, total - self.before[1]))

    def wait_for_quiet(self, most, seconds):
        """Until others have had less than `most` for half a second; at most so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.begin()
            time.sleep(0.5)
            if self.share() < most:
                return


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
