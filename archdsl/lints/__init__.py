"""Lint rules: likely mistakes and facts worth saying, found in a checked file. One rule, one module; its docstring is
its page.

1xx look at the structure of networks, 2xx at claims and recipes, 3xx at names, 9xx at the rules themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from archdsl.analyses import Cost
from archdsl.diagnostic import Diagnostic, Diagnostics
from archdsl.ir.graph import Graph
from archdsl.lints import (
    activated_shake,
    activated_weighted,
    averaged_shortcut,
    bottleneck_factor,
    dead_bias,
    dense_order,
    depth_differs,
    depthwise_by_groups,
    detached_auxiliary,
    double_activation,
    dropout_before_norm,
    error_percent,
    extreme_dropout,
    idle_layer,
    late_dropout,
    late_step,
    linear_stack,
    loose_claim,
    missing_final_norm,
    nested_means,
    no_params_claim,
    normed_projection,
    plain_shake_shortcut,
    pool_as_global,
    pyramid_widths,
    raw_projection,
    relu_after_add,
    repeat_once,
    repeated_variant,
    rescaled_survival,
    rescaled_swapout,
    sampled_survival,
    shadowed_name,
    shortcut_option,
    shrunk_transition,
    softmax_output,
    strided_pointwise,
    subsampled_pyramid,
    survival_rule,
    twice_normed,
    unreached_weights,
    unused_allow,
    unused_declaration,
    unused_import,
    unused_name,
    unused_parameter,
    wide_stem,
    zeros_on_both_sides,
)
from archdsl.lints.rule import Context, Network, Rule
from archdsl.lints.unused_allow import Allowances
from archdsl.syntax.ast import File

RULES: tuple[Rule, ...] = (
    dead_bias.RULE,
    missing_final_norm.RULE,
    normed_projection.RULE,
    raw_projection.RULE,
    relu_after_add.RULE,
    twice_normed.RULE,
    double_activation.RULE,
    linear_stack.RULE,
    dropout_before_norm.RULE,
    nested_means.RULE,
    strided_pointwise.RULE,
    softmax_output.RULE,
    pool_as_global.RULE,
    idle_layer.RULE,
    extreme_dropout.RULE,
    depthwise_by_groups.RULE,
    wide_stem.RULE,
    averaged_shortcut.RULE,
    subsampled_pyramid.RULE,
    shortcut_option.RULE,
    bottleneck_factor.RULE,
    dense_order.RULE,
    survival_rule.RULE,
    rescaled_survival.RULE,
    rescaled_swapout.RULE,
    unreached_weights.RULE,
    detached_auxiliary.RULE,
    pyramid_widths.RULE,
    depth_differs.RULE,
    plain_shake_shortcut.RULE,
    shrunk_transition.RULE,
    sampled_survival.RULE,
    zeros_on_both_sides.RULE,
    activated_shake.RULE,
    activated_weighted.RULE,
    late_dropout.RULE,
    no_params_claim.RULE,
    loose_claim.RULE,
    error_percent.RULE,
    repeated_variant.RULE,
    late_step.RULE,
    unused_import.RULE,
    unused_name.RULE,
    unused_parameter.RULE,
    unused_declaration.RULE,
    shadowed_name.RULE,
    repeat_once.RULE,
    unused_allow.RULE,
)


class Checked(Protocol):
    """A checked file: its tree, and its networks with their graphs and counts."""

    @property
    def file(self) -> File | None: ...
    @property
    def networks(self) -> Sequence[CheckedNetwork]: ...
    @property
    def recipes(self) -> Sequence[Named]: ...


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str: ...


class CheckedNetwork(Protocol):
    """One checked network."""

    @property
    def name(self) -> str: ...
    @property
    def variant(self) -> str | None: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def cost(self) -> Cost: ...


def lint(checked: Checked, module: object, bag: Diagnostics) -> None:
    """Add what the rules find in a checked file to `bag`."""
    if checked.file is not None:
        networks = tuple(Network(n.name, n.graph, n.cost, n.variant) for n in checked.networks)
        recipes = frozenset(recipe.name for recipe in checked.recipes)
        for diagnostic in findings(Context(checked.file, networks, recipes)):
            bag.add(diagnostic)


def findings(context: Context) -> list[Diagnostic]:
    """All findings of all rules in one file, without those that a comment allows."""
    allowances = Allowances.of(context.file)
    kept: dict[tuple[object, ...], Diagnostic] = {}
    for rule in RULES:
        for found in rule.diagnostics(context):
            span = found.primary.span
            if not allowances.silences(found, rule.slug):
                kept.setdefault((found.code, id(span.source), span.start, span.end), found)
    left = Rule("L901", "unused-allow", unused_allow.RULE.severity, lambda _: allowances.findings(slugs()))
    return [*kept.values(), *left.diagnostics(context)]


def slugs() -> list[str]:
    """The names of all rules that a comment can silence."""
    return [rule.slug for rule in RULES if rule is not unused_allow.RULE]


__all__ = ["RULES", "Context", "Network", "Rule", "findings", "lint", "slugs"]
