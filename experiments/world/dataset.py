"""The data set a config asks for."""

from collections.abc import Sequence

from ...models.learning.data import Dataset, load_dataset
from ..config.experiment import Config
from ..config.section import ConfigError


def config_dataset(config: Config) -> Dataset:
    """The config's data set, cut to its first ``data.examples`` training images.

    Raises:
        ConfigError: If there are not so many, or a network of the menu needs larger
            ones, or no network is trained here.
        DataError: If the data set cannot be read.
    """
    if not config.law.trained:
        raise ConfigError(
            f"law.source = {config.law.source}: this needs networks that are trained "
            "here and their data set; law.source = train has them"
        )
    dataset = load_dataset(config.data.name, config.data.path)
    check_images(dataset, config.menu.architectures)
    examples = config.data.examples
    if examples is None:
        return dataset
    if examples > len(dataset.x_train):
        raise ConfigError(
            f"data.examples must be at most the {len(dataset.x_train)} training "
            f"examples of {dataset.name}, got {examples}"
        )
    return dataset._replace(
        x_train=dataset.x_train[:examples],
        y_train=dataset.y_train[:examples],
        sha256=f"{dataset.sha256}, first {examples}",
    )


def check_images(dataset: Dataset, architectures: Sequence[str]) -> None:
    """See that every network can be made for the data set's images.

    Raises:
        ConfigError: If some need larger images; names them.
    """
    from ...models.learning.networks import forward_operations

    shape = dataset.x_train.shape[1:]
    problems = []
    for architecture in architectures:
        try:
            forward_operations(architecture, shape, dataset.n_classes)
        except ValueError:
            problems.append(architecture)
    if problems:
        raise ConfigError(
            f"menu.architectures: the images of {dataset.name} are "
            f"{shape[0]}×{shape[1]}, too small for the convolutions of "
            f"{', '.join(problems)}"
        )
