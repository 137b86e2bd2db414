"""What a benchmark ran on, for the head of its result page."""
import os
import platform
import subprocess
import time


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False,
                            cwd=os.path.dirname(__file__) or ".").stdout.strip()
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "load_average_before": round(os.getloadavg()[0], 2), "commit": commit,
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def machine_line(facts):
    return (f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, load before {facts['load_average_before']}"
            f", commit {facts['commit']}, {facts['date']}.")
