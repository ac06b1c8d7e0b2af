"""Where the published data sets are, how large their files are, and what they must hash to."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.train.data.forms import FORMS, Form


@dataclass(frozen=True)
class Source:
    """One published file."""

    url: str
    size: int
    """Bytes."""
    digest: str
    """As published, or as torchvision knows it: `md5:...`."""
    unpacked: Form | None = None
    """For an archive: what is wanted of it."""

    @property
    def file(self) -> str:
        """Its name."""
        return self.url.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that the file may have where it lies already: it is read unpacked as well."""
        return (self.file.removesuffix(".gz"), self.file) if self.file.endswith(".gz") else (self.file,)


_KRIZHEVSKY = "https://www.cs.toronto.edu/~kriz/"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_SVHN = "http://ufldl.stanford.edu/housenumbers/"

_SVHN_TRAIN = Source(_SVHN + "train_32x32.mat", 182_040_794, "md5:e26dedcc434d2e4c54c9b2d4a06d8373")
_SVHN_TEST = Source(_SVHN + "test_32x32.mat", 64_275_384, "md5:eb5a983be6a315427106f1b164d9cef3")
_SVHN_EXTRA = Source(_SVHN + "extra_32x32.mat", 1_329_278_602, "md5:a93ce644f1a588dc4d68dda5feec44a7")

SOURCES: dict[str, tuple[Source, ...]] = {
    "cifar10": (
        Source(
            _KRIZHEVSKY + "cifar-10-python.tar.gz",
            170_498_071,
            "md5:c58f30108f718f92721af3b95e74349a",
            FORMS["cifar10"]["python"],
        ),
    ),
    "cifar100": (
        Source(
            _KRIZHEVSKY + "cifar-100-python.tar.gz",
            169_001_437,
            "md5:eb9058c3a382ffc7106e4002c42a8d85",
            FORMS["cifar100"]["python"],
        ),
    ),
    "mnist": (
        Source(_MNIST + "train-images-idx3-ubyte.gz", 9_912_422, "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        Source(_MNIST + "train-labels-idx1-ubyte.gz", 28_881, "md5:d53e105ee54ea40749a09fcbcd1e9432"),
        Source(_MNIST + "t10k-images-idx3-ubyte.gz", 1_648_877, "md5:9fb629c4189551a2d022fa330f9573f3"),
        Source(_MNIST + "t10k-labels-idx1-ubyte.gz", 4_542, "md5:ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    "fashion-mnist": (
        Source(_FASHION + "train-images-idx3-ubyte.gz", 26_421_880, "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Source(_FASHION + "train-labels-idx1-ubyte.gz", 29_515, "md5:25c81989df183df01b3e8a0aad5dffbe"),
        Source(_FASHION + "t10k-images-idx3-ubyte.gz", 4_422_102, "md5:bef4ecab320f06d8554ea6380940ec79"),
        Source(_FASHION + "t10k-labels-idx1-ubyte.gz", 5_148, "md5:bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    "svhn": (_SVHN_TRAIN, _SVHN_TEST, _SVHN_EXTRA),
    "svhn-train": (_SVHN_TRAIN, _SVHN_TEST),
}
