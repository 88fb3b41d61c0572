"""A chain as people read it: one line a block, or all of a block."""

from pathlib import Path
from typing import Any

from ...models.chain.ledger import Published
from ...models.scheme.records import Block
from ..config.loading import parse_config
from ..config.section import ConfigError
from .reading import ChainView, read_chain
from .setting import prover_names
from .store import ChainFolder

_COLUMNS = (
    "height",
    "time",
    "interval",
    "miner",
    "task",
    "acc",
    "steps",
    "refs",
    "forks",
    "block",
)


def describe(path: Path, height: int | None) -> dict[str, Any]:
    """A chain, or the selected block at a height, as JSON values.

    Raises:
        ConfigError: If there is no block at that height.
        ChainError: If the folder is no intact chain.
        Rejected: If a record breaks a rule.
    """
    chain = read_chain(path)
    config = parse_config(ChainFolder(path).config(), str(path), "chain")
    names = prover_names(config, chain.ledger.genesis)
    if height is None:
        return _chain(path, chain, names)
    if not 1 <= height <= len(chain.entries):
        raise ConfigError(
            f"height must be from 1 to {len(chain.entries)}, got {height}"
        )
    return _block(chain, height, names)


def write(described: dict[str, Any]) -> None:
    """Print what ``describe`` gave."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if "height" not in described:
        facts = {k: v for k, v in described.items() if k != "blocks"}
        _facts(console, facts)
        table = Table(box=None, pad_edge=False)
        for column in _COLUMNS:
            words = column in ("miner", "block")
            table.add_column(column, justify="left" if words else "right")
        for row in described["blocks"]:
            table.add_row(
                str(row["height"]),
                f"{row['time']:,.0f}",
                f"{row['interval']:,.0f}",
                row["miner"],
                str(row["task"]),
                f"{row['accuracy']:.4f}",
                str(row["steps"]),
                str(row["references"]),
                str(row["forks"] or ""),
                row["name"][:10],
            )
        console.print(table)
        return
    lists = ("references", "rewards", "transactions", "scores", "forks")
    _facts(console, {k: v for k, v in described.items() if k not in lists})
    for name in lists:
        console.print(f"[bold]{name}[/bold]" + ("" if described[name] else "  none"))
        for row in described[name]:
            console.print(
                "  " + "  ".join(f"{k} {v}" for k, v in row.items()),
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _facts(console, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        console.print(
            f"{name.replace('_', ' '):18} {value}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _chain(path: Path, chain: ChainView, names: dict[bytes, str]) -> dict[str, Any]:
    genesis = chain.ledger.genesis
    rows, before = [], 0.0
    for entry in chain.entries:
        published = chain.ledger.published[entry.name]
        time = chain.times[entry.name]
        rows.append(
            {
                "height": entry.height,
                "time": time,
                "interval": time - before,
                "miner": _who(published.miner, names),
                "task": published.task,
                "accuracy": published.accuracy,
                "steps": published.steps,
                "references": len(published.lineage),
                "forks": len(chain.forks.get(entry.height, [])),
                "name": entry.name.hex(),
            }
        )
        before = time
    return {
        "chain": chain.ledger.name.hex(),
        "blocks_selected": len(rows),
        "blocks_forked": sum(map(len, chain.forks.values())),
        "tasks": ", ".join(f"{task.name} ({task.t_acc})" for task in genesis.tasks),
        "build": f"jax {genesis.build.jax}, jaxlib {genesis.build.jaxlib}, "
        f"{genesis.build.platform}",
        "bytes_on_disk": ChainFolder(path).stored_bytes(),
        "blocks": rows,
    }


def _block(chain: ChainView, height: int, names: dict[bytes, str]) -> dict[str, Any]:
    ledger = chain.ledger
    entry = chain.entries[height - 1]
    published = ledger.published[entry.name]
    block = published.record
    assert isinstance(block, Block)
    reference = block.proof.reference
    parameters = ledger.genesis.parameters
    return {
        "height": height,
        "block": entry.name.hex(),
        "extends": entry.parent.hex() if entry.parent else "",
        "miner": _who(published.miner, names),
        "found_at_step": chain.times[entry.name],
        "task": ledger.genesis.tasks[published.task].name,
        "accuracy": published.accuracy,
        "correct": f"{block.proof.correct} of {parameters.eval_samples}",
        "steps": block.proof.steps,
        "nonce": block.proof.nonce.hex(),
        "model": block.proof.model.hex(),
        "checkpoint_root": block.proof.cp_root.hex(),
        "reference_way": reference.way if reference else "fresh",
        "weight_so_far": entry.weight,
        "references": [
            _reference(chain, each, names) for each in ledger.lineage(entry.name)
        ],
        "rewards": [
            {"to": _who(owner, names), "coins": coins}
            for owner, coins in entry.rewards.items()
        ],
        "transactions": [
            {
                "from": _who(each.sender, names),
                "to": _who(each.transfer.to, names),
                "coins": each.transfer.amount,
            }
            for each in block.transactions
            if each.transfer is not None
        ],
        "scores": [
            {
                "block": each.score.block.hex()[:12],
                "test_accuracy": each.score.correct / each.score.samples,
            }
            for each in block.transactions
            if each.score is not None
        ],
        "forks": [{"block": name.hex()} for name in chain.forks.get(height, [])],
    }


def _reference(
    chain: ChainView, model: Published, names: dict[bytes, str]
) -> dict[str, Any]:
    return {
        "kind": model.kind,
        "name": model.name.hex()[:12],
        "miner": _who(model.miner, names),
        "accuracy": model.accuracy,
        "steps": model.steps,
        "extends_height": chain.ledger.entries[model.extends].height,
    }


def _who(key: bytes, names: dict[bytes, str]) -> str:
    return names.get(key, key.hex()[:12])
