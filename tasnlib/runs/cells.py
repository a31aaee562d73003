"""The parameters that a notebook's own cells assign."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any


def assigned_parameters(cells: Sequence[str]) -> dict[str, Any]:
    """The values that a notebook's parameter cells assign, later cells winning.

    A cell that does nothing but give names to plain values is a parameter cell: the notebook's own and the one that
    `papermill -p` adds. So a misspelt parameter is seen, although papermill itself only warns of it.

    >>> assigned_parameters(["# Parameters\\nepochs = 3\\nrecipe = 'laptop'", "epochs = 4", "total = sum([1, 2])"])
    {'epochs': 4, 'recipe': 'laptop'}
    """
    assigned: dict[str, Any] = {}
    for cell in cells:
        assigned |= _plain(cell) or {}
    return assigned


def refuse_computed(cells: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a parameter whose last value is in an ordinary cell: it would be passed over in silence.

    Raises:
        ValueError: naming it.

    >>> refuse_computed(["epochs = 2 * 3"], known=["epochs"])
    Traceback (most recent call last):
        ...
    ValueError: there is 'epochs = 2 * 3' in a cell that does more than give names to plain values: write the value of
    epochs itself, in a cell with nothing else but parameters
    """
    computed: dict[str, str] = {}
    for cell in cells:
        for name in (plain := _plain(cell)) or ():
            computed.pop(name, None)
        if plain is None:
            computed |= _assignments(cell)
    for name in known:
        if name in computed:
            raise ValueError(
                f"there is {computed[name]!r} in a cell that does more than give names to plain values: "
                f"write the value of {name} itself, in a cell with nothing else but parameters"
            )


def _plain(cell: str) -> dict[str, Any] | None:
    """What a parameter cell assigns; None for an ordinary cell."""
    try:
        return dict(_assignment(statement) for statement in ast.parse(cell).body)
    except (SyntaxError, ValueError, TypeError, IndexError):
        return None


_OWN_SCOPE = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _assignments(cell: str) -> dict[str, str]:
    """The names that a cell gives values to or takes away, each with the first line of the statement that does."""
    from IPython.core.inputtransformer2 import TransformerManager  # where there is no notebook, nobody needs it

    try:
        body = ast.parse(TransformerManager().transform_cell(cell))  # IPython's own commands become Python
    except SyntaxError:
        return {}
    return dict(_changed(body, ""))


# IPython's commands that run Python in the notebook's own namespace.
_RUN_PYTHON = ("time", "capture", "prun")


def _changed(node: ast.AST, statement: str) -> Iterator[tuple[str, str]]:
    for part in ast.iter_child_nodes(node):
        line = ast.unparse(part).splitlines()[0] if isinstance(part, ast.stmt) else statement
        match part:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, line  # what is inside has names of its own
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name, line
            case ast.alias(name=name, asname=other):
                yield other or name, line
            case ast.Call(
                func=ast.Attribute(attr="run_cell_magic" | "run_line_magic"),
                args=[ast.Constant(str(command)), *_, ast.Constant(str(code))],
            ) if command in _RUN_PYTHON:
                yield from ((name, code.strip()) for name in _assignments(code))
            case _ if not isinstance(part, _OWN_SCOPE):
                yield from _changed(part, line)


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=expression):
            return name, _value(expression)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as expression):  # seed: int = 0
            return name, _value(expression)
    raise ValueError("not a plain assignment")


def _value(expression: ast.expr) -> Any:
    # papermill writes the two numbers that have no literal as float('nan') and float('inf').
    if isinstance(expression, ast.Call) and getattr(expression.func, "id", "") == "float":
        return float(ast.literal_eval(expression.args[0]))
    return ast.literal_eval(expression)
