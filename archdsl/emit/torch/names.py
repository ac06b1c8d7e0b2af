"""Python names for what a spec calls its layers, values, parameters and blocks.

Most plausible layer names already mean something inside an `nn.Module` (`train`, `half`, `type` ...) and would break it.
The rule, the same everywhere: a name that is taken gets a trailing underscore, and another one if that is taken too.
Local names are written in lower case. Which names are taken does not depend on the PyTorch that happens to be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from archdsl.emit.torch.helpers import HELPERS

# Written out, since they grow with Python and the same spec must always give the same text.
_KEYWORDS = frozenset(
    """
    False None True _ and as assert async await break case class continue def del elif else except finally for
    from global if import in is lambda match nonlocal not or pass raise return try type while with yield
    """.split()
)
_BUILTINS = frozenset(
    """
    ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError
    BrokenPipeError BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError
    ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning
    EnvironmentError Exception ExceptionGroup False FileExistsError FileNotFoundError FloatingPointError
    FutureWarning GeneratorExit IOError ImportError ImportWarning IndentationError IndexError InterruptedError
    IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError None
    NotADirectoryError NotImplemented NotImplementedError OSError OverflowError PendingDeprecationWarning
    PermissionError ProcessLookupError PythonFinalizationError RecursionError ReferenceError ResourceWarning
    RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError
    SystemExit TabError TimeoutError True TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError
    UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError abs aiter
    all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex copyright
    credits delattr dict dir divmod enumerate eval exec exit filter float format frozenset getattr globals
    hasattr hash help hex id input int isinstance issubclass iter len license list locals map max memoryview min
    next object oct open ord pow print property quit range repr reversed round set setattr slice sorted
    staticmethod str sum super tuple type vars zip
    """.split()
)
# Easily misread: pycodestyle refuses them.
_MISREAD = frozenset({"l", "O", "I"})
# What stands at the top of a generated module.
_GLOBALS = frozenset({"torch", "nn", "F", "Tensor", "self", "network"})

# The attributes of a bare nn.Module in PyTorch 2.10 to 2.13, names with two underscores around them aside.
_MODULE = frozenset(
    """
    T_destination _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl
    _forward_hooks _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks
    _forward_pre_hooks_with_kwargs _get_backward_hooks _get_backward_pre_hooks _get_name _is_full_backward_hook
    _load_from_state_dict _load_state_dict_post_hooks _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook
    _modules _named_members _non_persistent_buffers_set _parameters _register_load_state_dict_pre_hook
    _register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict _slow_forward _state_dict_hooks
    _state_dict_pre_hooks _version _wrapped_call_impl add_module apply bfloat16 buffers call_super_init children
    compile cpu cuda double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter
    get_submodule half ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters
    parameters register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty
    train training type xpu zero_grad
    """.split()
)

NOT_LOCAL = _KEYWORDS | _BUILTINS | _MISREAD | _GLOBALS | frozenset(HELPERS)
NOT_FIELD = _KEYWORDS | _MODULE | _GLOBALS
NOT_CLASS = _KEYWORDS | _BUILTINS | _MISREAD | _GLOBALS


class Names:
    """Hands out names in one scope, each only once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def claim(self, wanted: str) -> str:
        """The wanted name, with as many trailing underscores as it takes to be free."""
        name = identifier(wanted)
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def local(self, wanted: str) -> str:
        """A name for a value or a parameter."""
        return self.claim(wanted.lower().lstrip("_") or "value")

    def field(self, wanted: str) -> str:
        """A name for an attribute; a leading underscore would look private."""
        return self.claim(wanted.lstrip("_") or "layer")


def identifier(text: str) -> str:
    """The text as an ASCII identifier."""
    name = re.sub(r"[^0-9A-Za-z_]", "_", text) or "_"
    return f"_{name}" if name[0].isdigit() else name


def class_name(block: str) -> str:
    """A block's name as classes are written: `dense_layer` is `DenseLayer`."""
    parts = [part for part in identifier(block).split("_") if part]
    name = "".join(part[0].upper() + part[1:] for part in parts)
    return name if name and name[0].isalpha() else f"Block{name}"


def numbered(base: str, number: int) -> str:
    """The name of the n-th thing called `base`."""
    return f"{base}_{number}" if base[-1:].isdigit() else f"{base}{number}"
