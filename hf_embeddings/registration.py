"""TriEmbed in the Auto classes of transformers: at once where transformers is imported, else as soon as it is.

Importing transformers takes seconds, which a command that prints its help must not pay. So a finder waits in front of
the ordinary ones for this one module, lets them find and load it, and registers. Nothing of transformers is changed.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def register_when_imported() -> None:
    """Register now where transformers is imported already, else right after its import."""
    after_import("transformers", register)


def register() -> None:
    """Register; where another thread imports our classes and waits for transformers, let that go first."""
    try:
        register_classes()
    except RuntimeError as error:
        if type(error).__name__ != "_DeadlockError":  # by which Python refuses that two imports wait for each other
            raise
        threading.Thread(target=register_classes, name="registration of TriEmbed").start()


def register_classes() -> None:
    """Make `AutoModel.from_pretrained` and its siblings load TriEmbed without `trust_remote_code`."""
    import transformers

    from hf_embeddings.model import modeling_triembed
    from hf_embeddings.model.configuration_triembed import AUTO_MAP, TriEmbedConfig

    for auto_class, path in AUTO_MAP.items():
        if auto_class == "AutoConfig":
            transformers.AutoConfig.register(TriEmbedConfig.model_type, TriEmbedConfig, exist_ok=True)
        else:
            model_class = getattr(modeling_triembed, path.split(".")[1])
            getattr(transformers, auto_class).register(TriEmbedConfig, model_class, exist_ok=True)


def after_import(name: str, function: Callable[[], None]) -> None:
    """Call a function now where a module is imported already, else right after its import."""
    if name in sys.modules:
        function()
    elif not any(isinstance(finder, AfterImport) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, AfterImport(name, function))


class AfterImport:
    """A finder that waits for one module. To look the module up is not to import it: it leaves after the import."""

    def __init__(self, name: str, function: Callable[[], None]) -> None:
        self.name, self.function = name, function

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the module as the other finders give it, with a loader that calls the function at last."""
        if name != self.name:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next((candidate for finder in others if (candidate := finder.find_spec(name, path, target))), None)
        if spec is None or spec.loader is None:
            return spec
        loader = spec.loader

        def load(module: ModuleType) -> None:
            del loader.exec_module  # what is found below is the loader's own: the module keeps it as it was
            loader.exec_module(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self.function()

        loader.exec_module = load  # type: ignore[method-assign]
        return spec
