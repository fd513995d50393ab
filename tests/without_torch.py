"""The command line where only what `stdet[lite]` installs can be found.

    python tests/without_torch.py ARGUMENTS

Its last line on stderr is the largest resident memory of the process, MB.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

NOT_INSTALLED = {"einops", "onnx", "safetensors", "tensorboard", "torch", "torchvision"}


class FinderWithoutTorch:
    """Finds everything else, and says of those what it says of a package that is not there."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in NOT_INSTALLED:
            return None
        return PathFinder.find_spec(name, path, target)


def main():
    sys.meta_path = [FinderWithoutTorch if one is PathFinder else one for one in sys.meta_path]
    from stdet.cli import main as stdet

    code = stdet(sys.argv[1:])
    assert NOT_INSTALLED.isdisjoint(sys.modules)
    # Not ru_maxrss: a child that shares its parent's memory until it is replaced inherits that.
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    print(int(line.split()[1]) / 1000, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
