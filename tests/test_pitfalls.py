"""Every known mistake of open implementations: flagged by a rule, refused, or seen by a count or by the outputs.

A row for each mistake, by the number that it has in the list this project was built from: residual networks (R),
DenseNet (D), PyramidNet (P), ResNeXt (X), Shake-Shake (S), FractalNet (F), early networks (E), counting (C), numbers that
later tables have wrong (L). A mistake is an edit of our own spec, with the library's blocks in the same text; what it must
show is in `pitfalls/checks.py`. Where no count can see it, a rule does or the outputs do.
"""

from __future__ import annotations

from math import ceil, floor

import pytest
import test_stochastic as chance
import torch
from pitfalls import shown, texts
from pitfalls.checks import Check, Claimed, Counted, Differs, Flagged, Refused, Shown
from pitfalls.pairs import (
    ACTIVATED_SHAKE,
    ACTIVATED_WEIGHTED,
    BIASED,
    BOTH_SIDES,
    CARRIED,
    CARRY,
    DEAD,
    DENSE,
    EVEN,
    HALVED,
    LATE_DROPOUT,
    LAYERS,
    NEEDLESS,
    NESTED,
    NORMED,
    OF_FACTOR_2,
    PER_SAMPLE,
    PLAIN,
    PREACT,
    PREACT_18,
    PROJECTS,
    PYRAMID_RELUS,
    RAW,
    STEM,
    WIDE,
    added_up,
    ending,
    pyramid,
    pyramids,
    rounded,
    shortcut,
)
from pitfalls.texts import as_it_is, edited, instead, respelt

pytestmark = pytest.mark.usefixtures("one_thread", "seed")


@pytest.fixture
def seed() -> None:
    torch.manual_seed(20)


TABLE: dict[str, tuple[Check, ...]] = {
    # ---- residual networks
    "R1 option B for A": (
        Flagged("L120", shortcut("B")),
        Counted(
            shortcut("B"),
            (({}, 269_722, 2_752), ({"depth": 110}, 1_727_962, 2_752), ({"depth": 1202}, 19_421_274, 2_752)),
        ),
        Counted(shortcut("B"), (({}, 40_551_040, 262_144),), of="macs"),
    ),
    "R2 option C": (Flagged("L120", shortcut("C")), Counted(shortcut("C"), (({}, 269_722, 14_240),))),
    "R3 biases before batch normalisation": (
        Flagged("L101", respelt("resnet", *BIASED)),
        Counted(respelt("resnet", *BIASED), (({}, 269_722, 688), ({"depth": 110}, 1_727_962, 4_048))),
        Flagged("L101", respelt("wrn", *BIASED)),
        Counted(
            respelt("wrn", *BIASED),
            ((WIDE[0], 36_479_194, 10_096), (WIDE[1], 8_949_210, 5_840), (WIDE[2], 10_961_370, 4_496)),
        ),
    ),
    "R4 the ImageNet form under the CIFAR name": (
        Counted(instead("resnet", texts.IMAGENET_RESNET_18), (({}, 269_722, 11_173_962 - 269_722),)),
    ),
    "R5 bottlenecks for depth 44 and more": (
        Claimed(as_it_is("resnet-bottleneck"), "ResNetBottleneck(110), params = 1_147_738", True),
        Claimed(as_it_is("resnet-bottleneck"), "ResNetBottleneck(110), params ~ 1.7M", False),
    ),
    "R6 zero channels on both sides": (
        Flagged("L133", BOTH_SIDES),
        Differs(BOTH_SIDES, {"depth": 8}),
    ),
    "R7 averaging in ResNet's shortcut": (
        Flagged(
            "L118",
            edited(
                "resnet", ('-> (avg_pool(stride) if option == "average" else subsample(stride))', "-> avg_pool(stride)")
            ),
        ),
        Differs(as_it_is("resnet"), {"depth": 8}, wrong={"option": "average"}),
    ),
    "R8 identity decided by one condition": (
        Refused("T203", edited("wrn", ("in if in.channels == width and stride == 1", "in if stride == 1"))),
        Counted(NEEDLESS, (({"depth": 40, "k": 1}, 563_930, 256),), refused=False),
        Claimed(as_it_is("wrn"), "WRN(40, 1), params = 563_930", True),
        Claimed(NEEDLESS.swapped(), "WRN(40, 1), params = 563_930", False),
    ),
    "R9 no norm and ReLU after the last unit": (
        Flagged("L102", PREACT[0]),
        Flagged("L102", PREACT[1]),
        Counted(PREACT[0], (({}, 1_703_258, -512), ({"depth": 1001}, 10_327_706, -512))),
        Counted(PREACT[1], ((WIDE[0], 36_479_194, -1_280), (WIDE[1], 8_949_210, -512))),
        Flagged("L102", PREACT_18),
        Counted(PREACT_18, (({}, 11_172_170, -1_024),), refused=False),
    ),
    "R10 a projection of the raw input": (
        *(Flagged("L104", pair) for pair in RAW),
        Differs(RAW[0], {"depth": 11}),
        Differs(RAW[1], {"depth": 10, "k": 2}),
    ),
    "R11 a norm on the projection": (
        *(Flagged("L103", pair) for pair in NORMED),
        Counted(NORMED[0], (({}, 1_703_258, 896),)),
        Counted(NORMED[1], ((WIDE[0], 36_479_194, 2_240), (WIDE[1], 8_949_210, 896))),
        Claimed(as_it_is("resnet-bottleneck"), f"ResNetBottleneck(164), params = {1_703_258 + 896}", True),
    ),
    "R12 the stride elsewhere": (
        Counted(
            edited(
                "wrn",
                (
                    "conv(width, 3, stride=stride) -> bn -> relu -> thin -> conv(width, 3)",
                    "conv(width, 3) -> bn -> relu -> thin -> conv(width, 3, stride=stride)",
                ),
            ),
            ((WIDE[0], 5_243_328_768, 5_951_117_568 - 5_243_328_768),),
            of="macs",
        ),
        Counted(
            as_it_is("preresnet"),
            (({}, 244_500_992, 247_646_720 - 244_500_992),),
            of="macs",
            wrong={"stride_in_3x3": True},
        ),
        Flagged("L111", edited("preresnet", ("stride_in_3x3 = false", "stride_in_3x3 = true")).swapped()),
    ),
    "R13 a widened stem": (
        Flagged("L117", STEM),
        Counted(STEM, ((WIDE[0], 36_479_194, 208_976), (WIDE[1], 8_949_210, 28_016), (WIDE[2], 10_961_370, 130_224))),
    ),
    "R14 zero channels for projections in WRN": (
        Counted(
            edited(
                "wrn",
                (
                    PROJECTS,
                    "in if in.channels == width and stride == 1 else (in -> avg_pool(stride) -> channel_pad(width))",
                ),
            ),
            ((WIDE[0], 36_479_194, -258_560),),
        ),
    ),
    "R15 dropout before the norm, or in evaluation": (
        Flagged(
            "L109", edited("wrn", ("-> bn -> relu -> thin -> conv", "-> thin -> bn -> relu -> conv")), {"drop": 0.3}
        ),
        Shown(chance.test_dropout_rests_in_evaluation_and_passes_gradients_where_it_let_through),
    ),
    "R16 6n + 2 for WRN": (
        Refused(
            "E301",
            edited(
                "wrn",
                ('    require (depth - 4) % 6 == 0, "the depth of a wide ResNet is 6n + 4"\n', ""),
                ("n    = (depth - 4) / 6", "n    = (depth - 2) / 6"),
            ),
        ),
        Flagged(
            "L129",
            edited(
                "wrn",
                ('    require (depth - 4) % 6 == 0, "the depth of a wide ResNet is 6n + 4"\n', ""),
                ("depth = 28", "depth = 22"),
                ("n    = (depth - 4) / 6", "n    = (depth + 2) / 6"),
            ),
            {"k": 1},
        ),
        Refused("E311", edited("wrn", ("depth = 28", "depth = 26"))),
    ),
    "R17 no ReLU where a unit is skipped, or scaling in training": (
        Shown(chance.test_a_skipped_unit_still_has_its_shortcut_and_its_relu),
        Shown(chance.test_evaluation_runs_every_unit_at_its_probability),
        Flagged(
            "L124",
            edited(
                "stochastic-depth",
                (
                    "stochastic_depth(convolutions(width, stride), keep)",
                    "stochastic_depth(convolutions(width, stride), keep, rescale=true)",
                ),
            ),
        ),
        Differs(
            edited(
                "stochastic-depth",
                (
                    "stochastic_depth(convolutions(width, stride), keep)",
                    "stochastic_depth(convolutions(width, stride), keep, rescale=true)",
                ),
            ),
            {"depth": 14},
            train=True,
        ),
    ),
    "R18 survival off by one": (
        Shown(chance.test_survival_falls_linearly_from_the_first_unit_to_the_last),
        Flagged(
            "L123",
            edited(
                "stochastic-depth", ("= 1 - unit / units * (1 - last)", "= 1 - (unit - 1) / (units - 1) * (1 - last)")
            ),
        ),
    ),
    "R19 a mask for each sample, or for a whole layer": (
        Flagged("L132", PER_SAMPLE),
        Differs(PER_SAMPLE, {"depth": 14}, train=True),
        Shown(chance.test_a_unit_survives_for_the_whole_batch_and_by_its_probability),
        Shown(chance.test_swapout_draws_element_by_element),
    ),
    "R20 swapout by dropout": (
        Flagged("L125", edited("swapout", ("bernoulli_mask(keep)", "dropout(1 - keep)"))),
        Shown(chance.test_swapout_keeps_each_number_of_both_parts_and_its_mean_is_evaluation_s),
    ),
    "R21 swapout without projections": (
        Counted(as_it_is("swapout"), (({}, 7_427_146, 7_386_186 - 7_427_146),), wrong={"project": False}),
        Counted(
            edited("swapout", ("project = true, classes", "project = false, classes")),
            (({}, 7_427_146, 7_386_186 - 7_427_146),),
        ),
    ),
    "R22 weighted residuals": (
        Flagged("L135", ACTIVATED_WEIGHTED),
        Differs(ACTIVATED_WEIGHTED, {"depth": 10}),
        Refused("E311", edited("weighted-resnet", ("depth = 118, classes", "depth = 116, classes"))),
        Claimed(as_it_is("weighted-resnet"), "WeightedResNet(1192), params = 19_273_708, depth = 1192", True),
        Shown(shown.scales_are_held_and_not_decayed),
    ),
    # ---- DenseNet
    "D1 transitions that halve plain networks": (
        Flagged("L131", HALVED, {"depth": 40, "compact": False}),
        Counted(as_it_is("densenet"), ((DENSE[0], 1_019_722, 599_050 - 1_019_722),), wrong={"theta": 0.5, "stem": 24}),
        Counted(
            as_it_is("densenet"), ((DENSE[1], 27_249_082, 16_114_138 - 27_249_082),), wrong={"theta": 0.5, "stem": 48}
        ),
    ),
    "D2 the released code's stem": (
        Counted(as_it_is("densenet"), ((DENSE[1], 27_249_082, 28_071_706 - 27_249_082),), wrong={"stem": 48}),
        Counted(as_it_is("densenet"), ((DENSE[0], 1_019_722, 1_059_298 - 1_019_722),), wrong={"stem": 24}),
        Claimed(as_it_is("densenet"), "DenseNet(100, 24, false), params ~ 27.2M", False),
    ),
    "D3 a fixed stem for BC": (
        Counted(as_it_is("densenet"), ((DENSE[3], 25_624_430, 25_005_266 - 25_624_430),), wrong={"stem": 24}),
        Counted(as_it_is("densenet"), ((DENSE[3], 25_624_430, 24_917_134 - 25_624_430),), wrong={"stem": 16}),
        Claimed(as_it_is("densenet"), "DenseNet(190, 40, stem=24), params ~ 25.6M", False),
    ),
    "D4 as many B layers as plain ones": (
        Flagged("L129", LAYERS),
        Counted(LAYERS, ((DENSE[2], 769_162, 2_501_770 - 769_162), (DENSE[3], 25_624_430, 90_489_450 - 25_624_430))),
    ),
    "D5 norm and ReLU after the stem": (
        Flagged("L106", edited("densenet", ("image -> conv(stem, 3)", "image -> conv(stem, 3) -> bn -> relu"))),
        Counted(
            edited("densenet", ("image -> conv(stem, 3)", "image -> conv(stem, 3) -> bn -> relu")),
            ((DENSE[2], 769_162, 48), (DENSE[3], 25_624_430, 160)),
        ),
    ),
    "D6 a transition that convolves first": (
        Counted(
            edited(
                "densenet",
                (
                    "in -> bn -> relu -> conv(floor(compression * in.channels), 1) -> thin",
                    "in -> conv(floor(compression * in.channels), 1) -> bn -> relu -> thin",
                ),
            ),
            ((DENSE[2], 769_162, -516), (DENSE[3], 25_624_430, -3_220)),
        ),
    ),
    "D7 four blocks": (
        Counted(instead("densenet", texts.DENSENET_OF_FOUR_BLOCKS), (({}, 769_162, 1_000_618 - 769_162),)),
    ),
    "D8 dropout once in a B layer": (Shown(shown.dropouts_of_densenet),),
    "D9 new channels first": (
        Flagged("L122", edited("densenet", ("concat(in, new)", "concat(new, in)"))),
        Differs(edited("densenet", ("concat(in, new)", "concat(new, in)")), {"depth": 10, "growth": 4}),
    ),
    # ---- PyramidNet
    "P1 widths rounded down, or up": (
        Flagged("L128", rounded("floor")),
        Flagged("L128", rounded("ceil")),
        Counted(rounded("floor"), pyramids(-32_976, -49_392, 0, -135_702, -162_518, -161_280)),
        Counted(rounded("ceil"), pyramids(36_432, 51_120, 0, 142_890, 164_538, 155_792)),
        *(added_up(floor, *row) for row in pyramids(-39_850, -49_392, 0, -158_654, -173_920, -164_414)),
        *(added_up(ceil, *row) for row in pyramids(38_496, 64_396, 0, 142_890, 164_538, 194_964)),
    ),
    "P2 halves to the even number": (
        Counted(EVEN, (({"alpha": 27}, 937_134, -14_952),), refused=False),
        Counted(EVEN, pyramids(0, 0, 0, 0, 0, 0), refused=False),
        Flagged("L128", EVEN, {"alpha": 27}),
        Counted(EVEN, (({"alpha": 81}, 3_722_940, -26_520),), refused=False),
    ),
    "P3 rounded widths carried on": (
        Flagged("L128", CARRIED),
        Shown(shown.carried_widths_end_where_they_should_not),
        Refused("T201", edited("pyramidnet", *CARRY)),
        Counted(
            CARRIED,
            pyramids(
                254_682 - 1_772_706,
                2_069_541 - 3_904_446,
                0,
                18_962_463 - 26_752_702,
                14_751_278 - 26_969_046,
                21_770_502 - 26_210_842,
            ),
        ),
    ),
    "P4 projections for zero channels": (
        Counted(
            edited(
                "pyramidnet",
                (
                    "    small = in if stride == 1 else (in -> avg_pool(stride))\n    out   = small -> channel_pad(width)",
                    "    out = in if C == width and stride == 1 else (in -> conv(width, 1, stride=stride))",
                ),
            ),
            (
                ({}, 1_772_706, 86_000),
                ({"alpha": 270}, 28_485_477, 1_558_854),
                (pyramid(272, 200), 26_210_842, 24_172_704),
            ),
        ),
    ),
    "P5 no last norm in the unit": (
        Counted(
            edited(
                "pyramidnet",
                ("conv(width, 3) -> bn\n", "conv(width, 3)\n"),
                ("conv(4*width, 1) -> bn\n", "conv(4*width, 1)\n"),
            ),
            (({}, 1_772_706, -4_368), (pyramid(272, 200), 26_210_842, -84_320)),
        ),
    ),
    "P6 ReLUs of ResNet": (
        Flagged("L106", PYRAMID_RELUS[0]),
        Flagged("L105", PYRAMID_RELUS[2]),
        *(Differs(pair, {"depth": 14}) for pair in PYRAMID_RELUS),
    ),
    "P7 subsampling in the shortcut": (
        Flagged("L119", edited("pyramidnet", ("avg_pool(stride)", "subsample(stride)"))),
        Differs(edited("pyramidnet", ("avg_pool(stride)", "subsample(stride)")), {"depth": 14}),
    ),
    # ---- ResNeXt
    "X1 no groups": (
        Counted(
            edited("resnext", (", groups=cardinality", "")),
            (({}, 34_426_698, 164_482_890 - 34_426_698), ({"cardinality": 16}, 68_155_210, 625_538_890 - 68_155_210)),
        ),
    ),
    "X2 widened by 2, a 1×1 stem": (
        Counted(instead("resnext", texts.RESNEXT_OF_FACTOR_2), (({}, 34_426_698, 89_598_282 - 34_426_698),)),
        Claimed(OF_FACTOR_2, "ResNeXt(), params = 89_598_282, macs ~ 14.1G", True),
        Shown(shown.widths_of_resnext),
    ),
    "X3 a width that does not follow the stage": (
        Refused("C501", edited("resnext", ("width / 4 * base / 64 * cardinality", "base * cardinality"))),
        Shown(shown.widths_of_resnext),
    ),
    # ---- Shake-Shake
    "S1 shortcuts that nothing reads": (
        Flagged("L126", DEAD),
        Counted(
            DEAD, (({}, 2_923_162, 65_856), ({"base": 64}, 11_653_978, 260_736), ({"base": 96}, 26_192_922, 584_640))
        ),
    ),
    "S2 a plain projection": (Flagged("L130", PLAIN), Counted(PLAIN, (({}, 2_923_162, 0),), refused=False)),
    "S3 a shift up and left": (
        Shown(shown.shift_goes_down_and_right),
        Differs(edited("shake-shake", ("shift(1, 1)", "shift(-1, -1)")), {"base": 4, "forward": "even"}),
    ),
    "S4 no ReLU in the shortcut, or one after the sum": (
        Differs(edited("shake-shake", ("active  = in -> relu", "active  = in -> identity")), {"base": 4}),
        Flagged("L134", ACTIVATED_SHAKE),
        Differs(ACTIVATED_SHAKE, {"base": 4}),
    ),
    "S5 a stem with bias and ReLU, without norm": (
        Counted(edited("shake-shake", ("image -> conv(16, 3) -> bn", "image -> conv(16, 3)")), (({}, 2_923_162, -32),)),
        Counted(
            edited("shake-shake", ("image -> conv(16, 3) -> bn", "image -> conv(16, 3, bias=true) -> bn")),
            (({}, 2_923_162, 16),),
        ),
        Counted(
            edited("shake-shake", ("image -> conv(16, 3) -> bn", "image -> conv(16, 3, bias=true) -> relu")),
            (({}, 2_923_162, -16),),
        ),
        Flagged("L101", edited("shake-shake", ("image -> conv(16, 3) -> bn", "image -> conv(16, 3, bias=true) -> bn"))),
        Differs(
            edited("shake-shake", ("image -> conv(16, 3) -> bn", "image -> conv(16, 3) -> bn -> relu")), {"base": 16}
        ),
    ),
    "S6 a stem as wide as the base": (
        Counted(
            edited(
                "shake-shake", ("conv1: [16, ", "conv1: [base, "), ("image -> conv(16, 3)", "image -> conv(base, 3)")
            ),
            (({}, 2_923_162, 9_104), ({"base": 64}, 11_653_978, 55_536), ({"base": 96}, 26_192_922, 138_832)),
        ),
    ),
    "S7 coefficients of a wrong scope": (
        *(
            Shown(chance.test_shake_has_its_own_coefficients_in_every_unit_and_in_the_gradient, mode)
            for mode in (("shake", "shake", "image"), ("shake", "keep", "image"), ("shake", "shake", "batch"))
        ),
        Shown(chance.test_shake_s_coefficients_are_uniform_and_rest_in_evaluation),
    ),
    "S8 the backward pass left to autograd": (
        Shown(chance.test_shake_has_its_own_coefficients_in_every_unit_and_in_the_gradient, ("shake", "even", "image")),
        Shown(chance.test_shake_has_its_own_coefficients_in_every_unit_and_in_the_gradient, ("even", "shake", "image")),
    ),
    "S9 cosine by the epoch": (Shown(shown.cosine_falls_in_every_iteration),),
    # ---- FractalNet
    "F1 nested means": (
        Flagged("L110", NESTED),
        Differs(NESTED, {"width": 4}),
        Shown(shown.joins_are_flat),
    ),
    "F2 the pool after the last join": (Differs(as_it_is("fractalnet"), {"width": 4}, wrong={"pool_first": False}),),
    "F3 dropout after ReLU": (
        Flagged("L136", LATE_DROPOUT),
        Differs(LATE_DROPOUT, {"width": 4}, train=True),
    ),
    "F4 33.7M or 38.6M": (
        Counted(as_it_is("fractalnet"), (({}, 33_724_618, 38_647_114 - 33_724_618),), wrong={"widen": True}),
        Counted(as_it_is("fractalnet"), (({"widen": True}, 38_621_376, 0),), of="conv_params"),
        Counted(
            edited(
                "fractalnet",
                (
                    "first = conv(width, 1) if widen and in.channels != width else identity",
                    "first = conv(width, 1) -> bn",
                ),
            ),
            (({}, 33_724_618, 38_912_202 - 33_724_618),),
        ),
        Counted(
            edited(
                "fractalnet",
                ("block5: [8*width,", "block5: [16*width,"),
                ("block4 -> unit(8*width", "block4 -> unit(16*width"),
            ),
            (({}, 33_724_618, 69_126_346 - 33_724_618),),
        ),
    ),
    "F5 the column drawn anew in every block": (
        Shown(chance.test_global_drop_path_keeps_one_column_through_the_network),
    ),
    # ---- early networks
    "E1 pooling that leaves out the last window": (
        Refused("T201", edited("nin", ("ceil = not padded", "ceil = false"))),
        Refused("T201", edited("maxout", ("ceil=true", "ceil=false"))),
        Refused("T201", edited("googlenet", ("ceil=true", "ceil=false"))),
        Refused("T201", edited("dsn", ("ceil=true", "ceil=false"))),
        Differs(as_it_is("nin"), wrong={"padded": True}),
    ),
    "E2 companions": (
        Counted(respelt("dsn", r"    auxiliary .*\n", ""), (({}, 3_547_496, 966_986 - 3_547_496),)),
        Differs(edited("dsn", ("conv(192, 5, bias=true)", "conv(192, 5, bias=true) -> relu")), train=True),
        Shown(shown.companions_leave_and_are_squared),
    ),
    "E3 the last 3×3 padded": (
        Counted(
            as_it_is("all-cnn-c"), (({}, 270_798_336, 281_174_016 - 270_798_336),), of="macs", wrong={"padding": "same"}
        ),
        Counted(
            edited("all-cnn-c", ('padding = "valid", classes', 'padding = "same", classes')), (({}, 1_369_738, 0),)
        ),
    ),
    "E4 AlexNet without groups": (
        Counted(edited("alexnet", (", groups=2", "")), (({}, 60_965_224, 62_378_344 - 60_965_224),)),
        Counted(instead("alexnet", texts.ONE_WEIRD_TRICK), (({}, 60_965_224, 61_100_840 - 60_965_224),)),
    ),
    "E5 α of the response normalisation": (Shown(shown.lrn_is_the_papers),),
    "E6 3×3 for GoogLeNet's 5×5": (
        Counted(
            edited("googlenet", ("conv_relu(five, 5)", "conv_relu(five, 3)")),
            (({"heads": False}, 6_998_552, 6_617_624 - 6_998_552),),
        ),
    ),
    "E7 a dense C3": (
        Claimed(as_it_is("lenet-5-1998"), "LeNet5Original(), params = 60_000, params ~ 60K", True),
        Claimed(as_it_is("lenet-5"), "LeNet5(), params = 61_706", True),
        Claimed(as_it_is("lenet-5"), "LeNet5(), params ~ 60K", False),
        Counted(
            edited("lenet-5-1998", ("conv_table(table, 5)", 'conv(16, 5, padding="valid", bias=true)')),
            (({}, 60_000, 900),),
        ),
    ),
    "E8 gates": (
        Shown(shown.gates_carry_at_first),
        Counted(
            edited(
                "highway",
                ("    gate      = in -> conv(C, kernel, bias=true) -> sigmoid\n", ""),
                ("gate * transform + (1 - gate) * in", "transform -> identity"),
                ("    init gate.bias = constant(-2)\n", ""),
            ),
            (({}, 2_256_838, 1_193_526 - 2_256_838),),
        ),
        Counted(
            edited(
                "highway",
                ("in -> conv(C, kernel, bias=true) -> sigmoid", "transform -> sigmoid"),
                ("    init gate.bias = constant(-2)\n", ""),
            ),
            (({}, 2_256_838, 1_193_526 - 2_256_838),),
        ),
    ),
    "E9 FitNet's maxout layer": (
        Counted(as_it_is("fitnet-19"), (({}, 2_742_102, 2_548_602 - 2_742_102),), wrong={"pieces": 2}),
        Counted(
            edited(
                "fitnet-19",
                ("    fc1:    [500]         = group3 -> flatten -> maxout_linear(500, pieces)\n", ""),
                ("fc1 -> linear(classes)", "group3 -> flatten -> linear(classes)"),
            ),
            (({}, 2_742_102, 2_415_882 - 2_742_102),),
        ),
    ),
    "E10 fractional pooling with padding, or without the field": (
        Refused(
            "C501",
            edited("fmp", ('conv(width, 2, padding="valid", bias=true)', 'conv(width, 2, padding="same", bias=true)')),
        ),
        Refused("T201", edited("fmp", ("image -> zero_pad(border)", "image -> identity"))),
    ),
    # ---- counting
    "C1 convolutions alone": (
        Claimed(
            as_it_is("preresnet"),
            "PreResNet(1001), params = 10_327_706, conv_params = 10_175_920, conv_params ~ 10.2M",
            True,
        ),
        Claimed(as_it_is("preresnet"), "PreResNet(1001), params ~ 10.2M", False),
        Claimed(as_it_is("pyramidnet"), "PyramidNet(272, 200, true), params ~ 26.2M, conv_params ~ 26.0M", True),
        Claimed(as_it_is("pyramidnet"), "PyramidNet(110, 48), params = 1_772_706, conv_params = 1_758_888", True),
    ),
    "C2 running means are no parameters": (Shown(shown.buffers_are_not_counted),),
    "C3 two operations in one": (
        Claimed(as_it_is("resnet"), "ResNet(20), macs = 40_551_040, flops = 81_102_080", True),
        *(
            Claimed(as_it_is("resnet"), f"ResNet(20), macs = {other}", False)
            for other in (40_927_872, 41_304_704, 40_552_426, 81_667_328)
        ),
    ),
    "C4 calls that hooks do not see": (Shown(shown.every_operation_is_counted),),
    # ---- numbers that later tables have wrong
    "L1 stochastic depth 1202 has 19.4M": (
        Claimed(as_it_is("stochastic-depth"), "StochasticDepth(1202), params = 19_421_274, params ~ 19.4M", True),
        Claimed(as_it_is("stochastic-depth"), "StochasticDepth(1202), params ~ 10.2M", False),
    ),
    "L2 pre-activation networks end in 256 features": (
        Refused("T201", edited("preresnet", ("conv4: [256,", "conv4: [64,"))),
    ),
    "L3 27.2M and a stem of 16 belong together": (
        Refused("T201", ending(2352, 16, "27.2M")),
        Claimed(ending(2320, 16, "27.2M").swapped(), "DenseNet(), params = 27_249_082", True),
        Claimed(ending(2352, 48, "28.1M").swapped(), "DenseNet(), params = 28_071_706", True),
    ),
    "L4 WRN-40-4 has 8.9M; FractalNet ends in 512": (
        Claimed(as_it_is("wrn"), "WRN(40, 4), params = 8_949_210, params ~ 8.9M", True),
        Claimed(as_it_is("wrn"), "WRN(40, 4), params ~ 8.7M", False),
        Refused("T201", edited("fractalnet", ("block5: [8*width,", "block5: [1024,"))),
    ),
}

# The numbers of the list, and those of mistakes that leave every count as it is.
NUMBERS = [
    f"{family}{number}"
    for family, last in {"R": 22, "D": 9, "P": 7, "X": 3, "S": 9, "F": 5, "E": 10, "C": 4, "L": 4}.items()
    for number in range(1, last + 1)
]
SAME_COUNT = ("R6", "R7", "R10", "R11", "R15", "R17", "D9", "P6", "P7", "S2", "S3", "S4", "F1", "F2", "F3")


def test_every_mistake_has_its_row() -> None:
    assert [name.split()[0] for name in TABLE] == NUMBERS
    assert all(TABLE.values())


@pytest.mark.parametrize("number", SAME_COUNT)
def test_where_counts_are_the_same_the_structure_or_the_outputs_are_looked_at(number: str) -> None:
    (checks,) = (checks for name, checks in TABLE.items() if name.split()[0] == number)
    assert any(isinstance(check, Flagged | Differs) for check in checks)


@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_shows(name: str) -> None:
    for check in TABLE[name]:
        check.hold()


@pytest.mark.parametrize(
    "check",
    [
        Flagged("L120", as_it_is("resnet")),
        Counted(as_it_is("resnet"), (({}, 269_722, 2_752),)),
        Counted(edited("resnet", ("image -> conv(16, 3)", "image -> conv(16, 3, groups=1)")), (({}, 269_722, 0),)),
        Refused("T201", as_it_is("resnet")),
        Claimed(as_it_is("resnet"), "ResNet(20), params = 269_722", False),
        Claimed(as_it_is("resnet"), "ResNet(20), params = 269_723", True),
        Differs(as_it_is("resnet"), {"depth": 8}),
        Differs(shortcut("B"), {"depth": 8}),
    ],
    ids=["flagged", "counted", "claimed by a count", "refused", "claimed", "not claimed", "differs", "other counts"],
)
def test_a_check_fails_where_there_is_no_such_mistake(check: Check) -> None:
    with pytest.raises(AssertionError):
        check.hold()
