"""The program of the release before this one, built from the history of this repository."""

import os
import re
import subprocess

from harness import programs

LIMIT = 1800


def git(*words):
    return subprocess.run(["git", "-C", programs.REPOSITORY, *words], capture_output=True, text=True, check=True).stdout


def version_at(commit):
    return re.search(r"project\(modelfs VERSION ([\d.]+)", git("show", f"{commit}:CMakeLists.txt"))[1]


def find():
    """The last commit of the release before: (commit, version); None where the history does not reach back to it."""
    current = re.search(r"project\(modelfs VERSION ([\d.]+)", (programs.REPOSITORY / "CMakeLists.txt").read_text())[1]
    for commit in git("log", "--first-parent", "--format=%H", "--", "CMakeLists.txt").split():
        if (version := version_at(commit)) != current:
            # Between this change of the file and the next, the version stayed.
            after = git("log", "--first-parent", "--reverse", "--format=%H", f"{commit}..HEAD", "--", "CMakeLists.txt").split()
            return (git("rev-parse", f"{after[0]}^").strip() if after else git("rev-parse", "HEAD").strip()), version
    return None


def build(commit, folder):
    """Builds the program of `commit` below `folder`; most of it comes from ccache."""
    source, tree = folder / "release-before", folder / "release-before-build"
    git("worktree", "add", "--detach", "--force", source, commit)
    try:
        environment = os.environ | {"CCACHE_BASEDIR": str(source), "CCACHE_NOHASHDIR": "true"}
        words = ["cmake", "-S", source, "-B", tree, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DMODELFS_TESTS=OFF"]
        subprocess.run(words, env=environment, check=True, capture_output=True, timeout=LIMIT)
        subprocess.run(["cmake", "--build", tree, "--target", "modelfs", "-j", str(os.cpu_count())], env=environment, check=True, capture_output=True, timeout=LIMIT)
    finally:
        git("worktree", "remove", "--force", source)
    return tree / "bin" / "modelfs"
