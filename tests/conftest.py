"""Every test runs with shapes checked, warnings as errors and no rank promotion."""

from jaxtyping import install_import_hook

# Before anything of the library is imported: the hook makes every annotated
# signature of these packages an executed check.
install_import_hook(["dpodl.models", "dpodl.analysis"], "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
