"""Makes a Debian and images on it with buildah, in a folder of its own; needs root and Debian's
archive, but no daemon: works in a container, too."""
import pathlib
import subprocess

HERE = pathlib.Path(__file__).absolute().parent
# Target of the Containerfile, and the program in its image.
PROGRAMS = {
    "coordinator": "navit-coordinator",
    "packer": "navit-packer",
    "trainer": "navit-trainer",
    "navitctl": "navitctl",
    "embed": "navit-embed",
}
UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}


def run(*argv, **options):
    """What argv prints; an error holds the end of what it said."""
    done = subprocess.run(
        list(argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options
    )
    if done.returncode != 0:
        said = done.stdout[-2000:] + done.stderr[-4000:]
        raise AssertionError("{}: {}\n{}".format(argv, done.returncode, said))
    return done.stdout


class Builder:
    """Images are kept below folder, in layers that are copies ("vfs", which works everywhere) or
    overlay mounts ("overlay", much smaller). `extra` are flags of every `build` and `run`."""

    def __init__(self, folder, driver="vfs", extra=()):
        self.folder = pathlib.Path(folder)
        self.extra = list(extra)
        self.argv = [
            "buildah",
            "--storage-driver=" + driver,
            "--root={}".format(self.folder / "storage"),
            "--runroot={}".format(self.folder / "run"),
        ]

    def buildah(self, *arguments):
        return run(*self.argv, *arguments)

    def make_base(self):
        """A minimal Debian bookworm from the machine's own sources, as the image navit-base."""
        archive = self.folder / "base.tar"
        run(
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "bookworm",
            str(archive),
        )
        container = self.buildah("from", "scratch").strip()
        self.buildah("add", container, str(archive), "/")
        self.buildah("commit", "--quiet", "--rm", container, "navit-base")
        archive.unlink()

    def build(self, context, target, *arguments):
        """The Containerfile's target, from the checkout in the folder context, as navit-TARGET."""
        self.buildah(
            "build",
            "--isolation=chroot",
            "--pull-never",
            "--layers",
            "--build-arg=BASE=localhost/navit-base",
            *arguments,
            *self.extra,
            "--file={}".format(context / "deploy/images/Containerfile"),
            "--target=" + target,
            "--tag=navit-" + target,
            str(context),
        )

    def container(self, target):
        """Name of a new one."""
        return self.buildah("from", "--pull-never", "localhost/navit-" + target).strip()

    def run_argv(self, container, *argv, volumes=()):
        """The command that runs argv in the container."""
        mounts = ["--volume={0}:{0}".format(folder) for folder in volumes]
        return self.argv + ["run", "--isolation=chroot"] + mounts + self.extra + [container, "--"] + list(argv)

    def image_bytes(self, target):
        """Of all its layers, to what buildah prints ("127 MB")."""
        said = self.buildah("images", "--noheading", "--format={{.Size}}", "localhost/navit-" + target)
        number, unit = said.split()
        return float(number) * UNITS[unit]

    def print_sizes(self, targets):
        """Returns, by target, the bytes above its Debian."""
        base = self.image_bytes("base")
        print("navit-base {:6.1f} MB".format(base / 1e6))
        added = {}
        for target in targets:
            size = self.image_bytes(target)
            added[target] = size - base
            said = "navit-{:12} {:7.1f} MB, {:6.1f} above its Debian"
            print(said.format(target, size / 1e6, added[target] / 1e6))
        return added

    def remove_containers(self):
        """Those of `build` too, which leaves some, mounted."""
        self.buildah("umount", "--all")
        self.buildah("rm", "--all")

    def remove_all(self):
        self.remove_containers()
        self.buildah("rmi", "--all", "--force")
