"""Runs a Dockerfile's steps without Docker: an overlay over this machine's root for each stage, and chroot into it.

The base image is this machine with the interpreter at /usr/local, where python's images have theirs. What a stage
writes lands in a directory of its own; the machine is only read. Needs root, because mounts do; everything mounted
lives in a mount namespace and goes with its last process.
"""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.dockerfile import Ignored, Step, expand, parse

BASE_ENV = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/usr/local/lib",  # a base image has told ldconfig
}
INTERPRETER = Path(sys.base_prefix)  # of the venv that runs the tests


def can_mount() -> bool:
    """Whether this process may do all that."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or Path("/usr") == INTERPRETER:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@dataclass
class Stage:
    """One stage: what it has written so far, and how its processes are started."""

    directory: Path
    env: dict[str, str] = field(default_factory=lambda: dict(BASE_ENV))
    arguments: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    @property
    def written(self) -> Path:
        """Where its files are."""
        return self.directory / "upper"

    def within(self, script: str, *, read_only: bool = False, binds: dict[str, str] | None = None) -> list[str]:
        """The command that runs a shell script inside this stage."""
        root = str(self.directory / "root")
        layers = f"lowerdir=/,upperdir={self.written},workdir={self.directory / 'work'}"
        mounts = [
            f"mount -t overlay overlay -o {shlex.quote(layers)} {shlex.quote(root)}",
            f"mount --bind {shlex.quote(str(INTERPRETER))} {root}/usr/local",
            f"mount -o remount,bind,ro {root}/usr/local",
            *(
                f"mkdir -p {root}{to} && mount --bind {shlex.quote(source)} {root}{to}"
                for to, source in (binds or {}).items()
            ),
            f"mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && mount --bind /sys {root}/sys",
        ]
        if read_only:
            mounts.append(f"mount -o remount,ro {root}")
        uid, _, gid = self.user.partition(":")
        drop = f"setpriv --reuid {uid} --regid {gid or uid} --clear-groups --bounding-set=-all --no-new-privs"
        drop = "" if uid == "0" else drop
        inner = f"cd {shlex.quote(self.workdir)} && {script}"
        started = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in self.env.items())])
        mounts.append(f"exec chroot {root} {drop} {started} /bin/sh -ec {shlex.quote(inner)}")
        for part in ("upper", "work", "root"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        return ["unshare", "-m", "/bin/sh", "-ec", "\n".join(mounts)]


def build(dockerfile: Path, scratch: Path) -> Stage:
    """Run every step and return the last stage. Raises subprocess.CalledProcessError with what a step said."""
    context, ignored = dockerfile.parent, Ignored.read(dockerfile.parent / ".dockerignore")
    stages: dict[str, Stage] = {}
    outside: dict[str, str] = {}
    stage = Stage(scratch / "none")
    for step in parse(dockerfile.read_text()):
        if step.word == "FROM":
            words = expand(step.text, outside).split()
            name = words[2] if len(words) == 3 else f"stage-{len(stages)}"
            stage = stages[name] = Stage(scratch / name)
        elif step.word == "ARG" and not stages:
            outside |= step.pairs
        else:
            run_step(step, stage, stages, context, ignored)
    return stage


def run_step(step: Step, stage: Stage, stages: dict[str, Stage], context: Path, ignored: Ignored) -> None:
    """Do what one instruction says."""
    values = stage.env | stage.arguments
    match step.word:
        case "ARG":
            stage.arguments |= step.pairs
        case "ENV":
            stage.env |= {name: expand(value, values) for name, value in step.pairs.items()}
        case "LABEL":
            stage.labels |= {name: expand(value, values) for name, value in step.pairs.items()}
        case "WORKDIR":
            stage.workdir = step.text
            (stage.written / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            stage.user = step.text
        case "VOLUME":
            stage.volumes += step.words
        case "ENTRYPOINT":
            stage.entrypoint = step.words
        case "CMD":
            stage.command = step.words
        case "COPY":
            copy(step, stage, stages, context, ignored)
        case "RUN":
            own = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
            stage.env, kept = own | stage.env, stage.env
            command = stage.within(step.text)
            stage.env = kept
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        case _:  # EXPOSE and STOPSIGNAL: for those who start it
            pass


def copy(step: Step, stage: Stage, stages: dict[str, Stage], context: Path, ignored: Ignored) -> None:
    """COPY: from the context without what is ignored, or from an earlier stage."""
    *sources, target = step.words
    to = stage.written / (target if target.startswith("/") else f"{stage.workdir}/{target}").lstrip("/")
    if "from" in step.flags:
        (source,) = sources
        shutil.copytree(stages[step.flags["from"]].written / source.lstrip("/"), to, symlinks=True)
        return
    for source in sources:
        files = (
            [source]
            if (context / source).is_file()
            else sorted(str(path.relative_to(context)) for path in (context / source).rglob("*") if path.is_file())
        )
        kept = [file for file in files if file not in ignored]
        if not kept:
            raise FileNotFoundError(f"COPY {source}: nothing that .dockerignore lets through")
        for file in kept:
            inside = Path(file).relative_to(source) if (context / source).is_dir() else Path(Path(file).name)
            is_file_name = len(sources) == 1 and (context / source).is_file() and not target.endswith("/")
            place = to if is_file_name else to / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(context / file, place)
