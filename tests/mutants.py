"""Mutation testing: change one thing of a file at a time, and see whether its tests notice. `make mutants`.

A mutant that survives is a hole in the tests, or no change at all; docs/mutants.md says which, for each that was found.

    python -m tests.mutants --file sampler --sample 100 --seed 0

Importing torch takes longer than most mutants live, so it is imported once. Every mutant gets a fork of this process,
in which the changed source stands in for the file when the tests import it; nothing is written to disk.
"""

import argparse
import ast
import copy
import gc
import importlib
import os
import random
import re
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
FILES = ("sampler", "attention", "distillation")
# What takes seconds to import and imports no file that is changed here.
LOADED_ONCE = (
    *("torch.distributed.tensor", "torchvision", "timm", "matplotlib.pyplot", "hypothesis.strategies"),
    "tests.conftest",
)
MEMORY = 4 * 2**30  # bytes a fork may take

COMPARISONS = {
    **{ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt)},
    **{ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,)},
    **{ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)},
}
ARITHMETIC = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.MatMult: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult},
}
NAMES = {
    **{"clamp_min": "clamp_max", "clamp_max": "clamp_min", "minimum": "maximum", "maximum": "minimum"},
    **{"amax": "mean", "mean": "sum", "sum": "mean", "argmax": "argmin", "floor": "ceil", "all": "any", "any": "all"},
    **{"softmax": "log_softmax", "log_softmax": "softmax", "float64": "float32", "float32": "float64"},
}
BUILTINS = {"max": "min", "min": "max", "all": "any", "any": "all"}
STATEMENTS = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Raise, ast.Assert, ast.For)
MODULES = ("torch", "F", "nn")


class Mutant(NamedTuple):
    file: str
    line: int
    change: str
    source: str


def with_fields(node: ast.AST, **fields) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def alternatives(node: ast.AST, under: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.Compare():
            for k, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield with_fields(node, ops=[*node.ops[:k], other(), *node.ops[k + 1 :]])
        case ast.BinOp(op=operator) if type(operator) in ARITHMETIC:
            yield with_fields(node, op=ARITHMETIC[type(operator)]())
        case ast.BoolOp(op=operator):
            yield with_fields(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.UnaryOp():
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (ast.Constant(value + step) for step in (1, -1))
            if value and isinstance(value, float):  # of whole numbers, -1 often names the same axis as 1
                yield ast.UnaryOp(ast.USub(), ast.Constant(value))
        case ast.Constant(value=str(value)) if " " not in value:  # with spaces it is a text for people
            yield ast.Constant("" if value else "other")
        case ast.JoinedStr(values=values):
            for value in values:
                if isinstance(value, ast.Constant) and " " not in value.value:
                    yield with_fields(node, values=[one for one in values if one is not value])
        case ast.Call(func=called, args=given):
            for keyword in node.keywords:
                yield with_fields(node, keywords=[one for one in node.keywords if one is not keyword])
            if isinstance(called, ast.Attribute) and ast.unparse(called.value) not in MODULES:
                yield called.value  # x.floor() -> x
            elif given and not isinstance(given[0], ast.Starred):
                yield given[0]  # F.relu(x) -> x
        case ast.Attribute(attr=name) if name in NAMES:
            yield with_fields(node, attr=NAMES[name])
        case ast.Name(id=name) if name in BUILTINS:
            yield with_fields(node, id=BUILTINS[name])
        case ast.Slice(lower=low, upper=high):
            if low:
                yield with_fields(node, lower=None)
            if high:
                yield with_fields(node, upper=None)
    if isinstance(node, STATEMENTS):
        yield ast.Pass()
    if isinstance(under, ast.If | ast.IfExp) and node is under.test and not isinstance(node, ast.Compare):
        yield ast.UnaryOp(ast.Not(), node)


def places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every child that may be changed: where it hangs, and what it is. Annotations, docstrings, imports: left alone."""
    for field, value in ast.iter_fields(node):
        for k, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and field not in ("annotation", "returns") and not docstring:
                yield node, field, k, child
                if not isinstance(child, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
                    yield from places(child)


def told(before: str, after: str) -> str:
    """Both, cut to the surroundings of what differs."""
    before, after = (" ".join(text.split()) for text in (before, after))
    same = next((k for k, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    start = max(0, same - 50)
    return " → ".join("…" * (start > 0) + text[start : start + 100] for text in (before, after))


def in_place(lines: list[bytes], node: ast.AST, other: ast.AST | None) -> str:
    """The source with another node in a node's place. All else stays on its line: tests look at tracebacks."""
    first, last = node.lineno - 1, node.end_lineno - 1
    before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    text, empty = ast.unparse(other) if other else "", "\n" * (last - first)
    if other is None:
        before = before[:-1]  # the @ of a decorator
    if isinstance(other, ast.expr) and not isinstance(other, ast.Slice):
        text, empty = f"({text}{empty})", ""
    return b"".join([*lines[:first], before, text.encode(), after, empty.encode(), *lines[last + 1 :]]).decode()


def mutants_of(path: Path) -> list[Mutant]:
    """All of them, each with its whole source."""
    text = path.read_text()
    tree, lines = ast.parse(text), text.encode().splitlines(keepends=True)
    found = {}
    for parent, field, k, child in places(tree):
        others = [None] if field == "decorator_list" else alternatives(child, parent)  # None: dropped
        for other in others:
            small = isinstance(child, ast.Constant | ast.UnaryOp) and isinstance(parent, ast.expr | ast.keyword)
            before = ast.unparse(parent if small else child)
            siblings = getattr(parent, field)
            if other and small:
                setattr(parent, field, other if k is None else [*siblings[:k], other, *siblings[k + 1 :]])
            after = ast.unparse(parent if small else other) if other else "(dropped)"
            setattr(parent, field, siblings)
            source = in_place(lines, child, other)
            found[ast.dump(ast.parse(source))] = Mutant(path.name, child.lineno, told(before, after), source)
    found.pop(ast.dump(tree), None)
    return list(found.values())


def stand_in(path: Path, source: str) -> None:
    """Whoever imports this path from now on gets this source, whatever is cached."""
    read, stat = SourceFileLoader.get_data, SourceFileLoader.path_stats

    def path_stats(self, asked):
        if Path(asked) == path:
            raise OSError("no file, so no bytecode of it")
        return stat(self, asked)

    SourceFileLoader.get_data = lambda self, asked: source.encode() if Path(asked) == path else read(self, asked)
    SourceFileLoader.path_stats = path_stats


def verdict(path: Path, source: str, tests: Iterable[str], seconds: int) -> str:
    """killed, survived or timed out: what pytest, given these arguments, says of a file that held this source."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(seconds)  # its default action ends the process, also in the middle of an operation of torch
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            stand_in(path, source)
            # assert=plain: else pytest would import a file named here by a loader of its own, past what stands in.
            os._exit(pytest.main(["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", *tests]))
        except BaseException:  # what gets out of pytest, the mutant has done
            os._exit(pytest.ExitCode.TESTS_FAILED)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "timed out" if os.WTERMSIG(status) == signal.SIGALRM else "killed"
    code = os.WEXITSTATUS(status)
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"no test ran; does `pytest {' '.join(tests)}` find some?")
    return "killed" if code else "survived"


def judge(path: Path, stages: Sequence[Sequence[str]], mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, str]]:
    """Every mutant with its verdict, as soon as there is one. What survives the first tests meets the next ones."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    limits = []
    for tests in stages:
        start = time.monotonic()
        if verdict(path, path.read_text(), tests, 600) != "survived":
            raise RuntimeError(f"`pytest {' '.join(tests)}` fails with {path} as it is; put that right first")
        limits.append(int(10 + 3 * (time.monotonic() - start)))
    for mutant in mutants:
        said = (verdict(path, mutant.source, tests, limit) for tests, limit in zip(stages, limits, strict=True))
        yield mutant, next((one for one in said if one != "survived"), "survived")


def stages_of(name: str) -> list[list[str]]:
    """Its doctests and its own tests; then those of the networks made of it, and of bad input to its functions."""
    functions = re.findall(r"^(?:def|class) ([a-zA-Z]\w+)", (ROOT / "tasnlib" / f"{name}.py").read_text(), re.M)
    wider = [f"tests/test_{whole}.py" for whole in ("model", "official", "bad_input", "arguments")]
    wider += ["-k", " or ".join(("test_model", "test_official", "test_arguments", *functions))]
    return [[f"tasnlib/{name}.py", f"tests/test_{name}.py"], wider]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", choices=FILES, help="one of the files; all of them unless given")
    parser.add_argument("--line", type=int, nargs="+", help="only mutants of these lines")
    parser.add_argument("--sample", type=int, help="so many of a file's mutants, drawn at random; all unless given")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    chosen = parser.parse_args()
    for module in LOADED_ONCE:
        importlib.import_module(module)
    gc.freeze()  # the forks need not look through all that again
    from hypothesis import Phase, settings

    # The first counterexample is enough; looking for the smallest takes long.
    settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))
    settings.load_profile("mutants")
    rows = []
    for name in [chosen.file] if chosen.file else FILES:
        path = ROOT / "tasnlib" / f"{name}.py"
        every = [mutant for mutant in mutants_of(path) if not chosen.line or mutant.line in chosen.line]
        some = random.Random(chosen.seed).sample(every, min(chosen.sample or len(every), len(every)))
        print(f"{path.name}: {len(some)} of {len(every)} mutants, seed {chosen.seed}")
        counts: Counter[str] = Counter()
        for mutant, said in judge(path, stages_of(name), sorted(some, key=lambda mutant: mutant.line)):
            counts[said] += 1
            print(f"{said:10} {mutant.file}:{mutant.line}  {mutant.change}", flush=True)
        rows.append((path.name, len(every), len(some), *(counts[said] for said in ("killed", "timed out", "survived"))))
    print("\n| file | mutants | tried | killed | timed out | survived |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    gc.unfreeze()  # or extensions count what is frozen as leaked


if __name__ == "__main__":
    main()
