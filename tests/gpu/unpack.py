"""Unpacks what tests/gpu/bundle made."""
import importlib.util
import os
import pathlib
import tarfile


def library_folders(root):
    """The bundle's own, CUDA's, and those of Python's packages of CUDA's parts, which have NCCL."""
    folders = [root / "lib", pathlib.Path("/usr/local/cuda/lib64")]
    nvidia = importlib.util.find_spec("nvidia")
    for place in nvidia.submodule_search_locations if nvidia else []:
        folders += sorted(pathlib.Path(place).glob("*/lib"))
    return [str(folder) for folder in folders]


def unpack(bundle, root):
    """Unpacks FOLDER/bundle.tar.gz below `root`; programs that are started from then on find their
    libraries."""
    with tarfile.open(bundle / "bundle.tar.gz") as archive:
        archive.extractall(root)
    before = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, library_folders(root) + [before]))
