from .experiment import Config as Config, fingerprint as fingerprint, plain as plain
from .hash_targets import (
    format_target as format_target,
    parse_target as parse_target,
    success_probability as success_probability,
)
from .loading import (
    load_config as load_config,
    parse_config as parse_config,
    shipped_configs as shipped_configs,
)
from .section import ConfigError as ConfigError
