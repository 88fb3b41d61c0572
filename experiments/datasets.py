"""The data set a config asks for."""

from ..models.data import Dataset, load_dataset
from .config import Config, ConfigError


def config_dataset(config: Config) -> Dataset:
    """The config's data set, cut to its first ``data.examples`` training images.

    Raises:
        ConfigError: If there are not so many.
        DataError: If the data set cannot be read.
    """
    dataset = load_dataset(config.data.name, config.data.path)
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
