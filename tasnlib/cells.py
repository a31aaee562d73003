"""The parameters that a notebook's own cells assign."""

import ast
from collections.abc import Sequence
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


def _assignments(cell: str) -> dict[str, str]:
    """The names that a cell's own statements assign, each with its statement."""
    try:
        statements = ast.parse(cell).body
    except SyntaxError:  # such as one of IPython's own commands
        return {}
    return {
        name.id: ast.unparse(statement)
        for statement in statements
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for name in ast.walk(statement)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


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
