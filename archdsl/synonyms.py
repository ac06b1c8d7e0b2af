"""What other frameworks call the layers and parameters of the language, for whoever comes from there."""

from __future__ import annotations

from collections.abc import Container

# by the name without case and underscores: `Conv2d`, `conv2D` and `conv_2d` are one
_LAYERS = {
    "adaptiveavgpool2d": "adaptive_avg_pool",
    "adaptivemaxpool2d": "adaptive_max_pool",
    "avgpool2d": "avg_pool",
    "averagepooling2d": "avg_pool",
    "batchnorm": "bn",
    "batchnorm2d": "bn",
    "batchnormalization": "bn",
    "cat": "concat",
    "concatenate": "concat",
    "conv2d": "conv",
    "conv2dtranspose": "conv_transpose",
    "convtranspose2d": "conv_transpose",
    "convolution": "conv",
    "deconv": "conv_transpose",
    "dense": "linear",
    "depthwiseconv": "depthwise",
    "depthwiseconv2d": "depthwise",
    "dropout2d": "channel_dropout",
    "droppath": "stochastic_depth",
    "fc": "linear",
    "fullyconnected": "linear",
    "gap": "global_avg_pool",
    "globalaveragepooling2d": "global_avg_pool",
    "groupnorm": "gn",
    "hardtanh": "hard_tanh",
    "instancenorm2d": "instance_norm",
    "interpolate": "upsample",
    "layernorm": "ln",
    "localresponsenorm": "lrn",
    "maxpool2d": "max_pool",
    "maxpooling2d": "max_pool",
    "multiheadattention": "attention",
    "pad": "zero_pad",
    "reflectionpad2d": "reflect_pad",
    "swish": "silu",
    "transpose": "permute",
    "view": "reshape",
    "zeropad2d": "zero_pad",
}
_PARAMETERS = {
    "channels": "width",
    "epsilon": "eps",
    "filters": "width",
    "kernelsize": "kernel",
    "negativeslope": "slope",
    "numgroups": "groups",
    "outchannels": "width",
    "outfeatures": "width",
    "pad": "padding",
    "poolsize": "kernel",
    "rate": "p",
    "strides": "stride",
    "units": "width",
    "usebias": "bias",
}


def synonym(name: str, known: Container[str]) -> str | None:
    """The name in `known` of what is called `name` elsewhere."""
    key = name.casefold().replace("_", "")
    return next((table[key] for table in (_LAYERS, _PARAMETERS) if key in table and table[key] in known), None)
