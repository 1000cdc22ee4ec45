"""Blocks of dask collections in groups, so that a pass has about as many tasks as there are threads to run them.

A task costs client and scheduler about a millisecond, whatever it does. Blocks that are kept on workers are grouped
where they are. Blocks that have yet to be made are made inside the task, one after another, so that no more of them are
in memory than there are threads. Where making one shares work with making another, each has a task of its own, and
dask shares the work.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from fastgmm.data.distributed import Part

__all__ = ["Recipe", "Recipes", "groups_of", "outside_of", "parts_of"]

# Tasks of a pass for each thread: more than one, as threads are not equally fast.
TASKS_PER_THREAD = 2


class Recipe:
    """How a block is made. No dataclass: dask would look for keys in it.

    Attributes
    ----------
    number : int
    keys : dict of str to key
        Of what belongs to the block: 'rows', 'weight' if there is one, and the columns, marked by a star.
    tasks : dict
        What runs where the block is read, by key.
    outside : list of key
        What is there before, or made by tasks of dask's own.
    is_alone : bool
        Whether another block needs a task that this one needs.
    """

    def __init__(self, number: int, keys: dict[str, Any]) -> None:
        self.number, self.keys = number, keys
        self.tasks: dict[Any, Any] = {}
        self.outside: list[Any] = []
        self.is_alone = False

    def part(self, held: Mapping[Any, Any]) -> Part:
        """Make the block; `held` has what lies outside."""
        import dask.core

        made = {key: held[key] for key in self.outside}
        inside = [key for key in dict.fromkeys(self.keys.values()) if key in self.tasks]
        if inside:
            made.update(zip(inside, dask.core.get(self.tasks, inside, dict(made)), strict=True))
        columns = {name[1:]: made[key] for name, key in self.keys.items() if name.startswith("*")}
        weight = made[self.keys["weight"]] if "weight" in self.keys else None
        return Part((self.number,), made[self.keys["rows"]], weight, columns)


class Recipes:
    """The recipes of all blocks, and what lies outside of them.

    Parameters
    ----------
    rows : dask array
        With whole rows in each block.
    weight : dask array or None
    columns : mapping of str to dask array
        In blocks as the rows are, as the weights.

    Attributes
    ----------
    blocks : list of Recipe
    tasks : dict
        What lies outside and is made by dask's own tasks, or is data that several blocks need; with all it needs.
    kept : list of key
        What the scheduler has.
    """

    def __init__(self, rows: Any, weight: Any, columns: Mapping[str, Any]) -> None:
        import dask.core

        named = {"rows": rows, "weight": weight, **{f"*{name}": column for name, column in columns.items()}}
        blocks = {name: array.to_delayed().ravel() for name, array in named.items() if array is not None}
        graph: dict[Any, Any] = {}
        for delayed in blocks.values():
            # The blocks of an array have one graph together, optimised.
            graph.update(delayed[0].__dask_graph__())
        self.blocks = [
            Recipe(number, {name: block.key for name, block in zip(blocks, row, strict=True)})
            for number, row in enumerate(zip(*blocks.values(), strict=True))
        ]
        needed = [_needed(recipe, graph) for recipe in self.blocks]
        n_users = Counter(key for keys in needed for key in keys)
        self.tasks: dict[Any, Any] = {}
        kept: dict[Any, None] = {}
        for recipe, keys in zip(self.blocks, needed, strict=True):
            kept.update((key, None) for key in keys if key not in graph)
            recipe.is_alone = any(n_users[key] > 1 and key in graph and dask.core.istask(graph[key]) for key in keys)
            if recipe.is_alone:
                self.tasks.update((key, graph[key]) for key in keys if key in graph)
                recipe.outside = list(dict.fromkeys(recipe.keys.values()))
                continue
            for key in keys:
                if key in graph and n_users[key] == 1:
                    recipe.tasks[key] = graph[key]
                    continue
                recipe.outside.append(key)
                if key in graph:
                    self.tasks[key] = graph[key]
        self.kept = list(kept)


def _needed(recipe: Recipe, graph: Mapping[Any, Any]) -> list[Any]:
    """Return the keys of a block and of what it is made of, in an order that depends on the graph alone."""
    import dask.core

    found = dict.fromkeys(recipe.keys.values())
    missing = list(found)
    while missing:
        key = missing.pop()
        if key in graph:
            # Tasks say themselves what they need, keys of the scheduler's included; tuples are searched for keys.
            further = getattr(graph[key], "dependencies", None)
            further = dask.core.get_dependencies(graph, key) if further is None else further
            further = sorted((k for k in further if k not in found), key=str)
            found.update(dict.fromkeys(further))
            missing.extend(further)
    return list(found)


def groups_of(recipes: Recipes, client: Any, futures: Mapping[Any, Any]) -> list[tuple[Any, list[Recipe]]]:
    """Return the recipes in groups, one for each task of a pass, each with the worker that holds its blocks or None.

    Parameters
    ----------
    recipes : Recipes
    client : distributed.Client or None
    futures : mapping of key to distributed.Future
        What the scheduler has; waited for.
    """
    import dask
    from dask.system import CPU_COUNT

    threads: dict[Any, int] = {None: dask.config.get("num_workers", None) or CPU_COUNT}
    places: dict[Any, Any] = {}
    if client is not None:
        threads = client.nthreads()
        threads[None] = max(1, sum(threads.values()))
    if futures:
        from distributed import wait

        wait([future for future in futures.values() if future.status == "pending"])
        places = {key: workers[0] for key, workers in client.who_has(list(futures.values())).items() if workers}
    groups: list[tuple[Any, list[Recipe]]] = [(None, [recipe]) for recipe in recipes.blocks if recipe.is_alone]
    together = defaultdict(list)
    for recipe in recipes.blocks:
        if not recipe.is_alone:
            together[next((places[key] for key in recipe.outside if key in places), None)].append(recipe)
    for worker, members in together.items():
        n_groups = min(len(members), TASKS_PER_THREAD * threads.get(worker, 1))
        cuts = [len(members) * i // n_groups for i in range(n_groups + 1)]
        groups += [(worker, members[start:stop]) for start, stop in pairwise(cuts)]
    return groups


def outside_of(recipes: list[Recipe]) -> list[Any]:
    """Return the keys of what lies outside of a group."""
    return list(dict.fromkeys(key for recipe in recipes for key in recipe.outside))


def parts_of(recipes: list[Recipe], held: list[Any]) -> Iterator[Part]:
    """Yield the blocks of a group, made one after another; `held` has what lies outside, in the order of its keys."""
    by_key = dict(zip(outside_of(recipes), held, strict=True))
    for recipe in recipes:
        yield recipe.part(by_key)
