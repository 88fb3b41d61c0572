"""Every test runs with shapes checked, warnings as errors and no rank promotion."""

from jaxtyping import PyTree, install_import_hook

# Before anything of the library is imported: the hook makes every annotated
# signature of these packages an executed check.
install_import_hook(["dpodl.models", "dpodl.analysis"], "beartype.beartype")

# The first check of a PyTree imports, and pytest then parses, the checker of leaves.
# In a thread that trains, that meets the parsing of modules loaded meanwhile, and
# CPython 3.11 counts the depth of both together: a SystemError, seen as a wrong type.
assert isinstance([0], PyTree[int])

import gc  # noqa: E402
import os  # noqa: E402

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")

# How long an example takes, or is made, says how busy the machine is.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


def pytest_configure(config):
    # What one worker has compiled the others read, and the commands that tests start
    # as processes, in this run and the next. Programs that compile faster than they
    # are read are not kept.
    for name, value in {
        "jax_compilation_cache_dir": str(config.cache.mkdir("compiled-programs")),
        "jax_persistent_cache_min_compile_time_secs": 0.2,
        "jax_compilation_cache_max_size": 2 << 30,
    }.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


def pytest_collection_modifyitems(items):
    # Files with a long check first: two workers that end together wait for nobody.
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_module():
    """Forget compiled programs after their module: the worker would only grow."""
    yield
    jax.clear_caches()
    gc.collect()
