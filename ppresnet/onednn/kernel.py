"""A primitive that can be run, and the change from one memory layout to another."""

import threading
from collections.abc import Mapping, Sequence

from ppresnet.onednn.api import DST, SCRATCHPAD, SRC, Argument, Handle
from ppresnet.onednn.library import Library, Owned
from ppresnet.onednn.session import Session


class Kernel:
    """One primitive with a memory object for each of its arguments.

    Args:
        library: the library.
        primitive_desc: what to compute.
        arguments: the arguments the primitive reads and writes, without its scratchpad.
    """

    def __init__(self, library: Library, primitive_desc: Owned, arguments: Sequence[int]) -> None:
        self.library = library
        self.descriptor = primitive_desc
        self.layouts = {argument: library.layout(primitive_desc, argument) for argument in arguments}
        self._primitive = library.create("primitive", primitive_desc.value)
        scratchpad = library.layout(primitive_desc, SCRATCHPAD)
        self._scratchpad_size = library.size(scratchpad)
        layouts = self.layouts | ({SCRATCHPAD: scratchpad} if self._scratchpad_size else {})
        self._memories = {
            argument: library.create("memory", layout, library.engine.value, None)
            for argument, layout in layouts.items()
        }
        pairs = [Argument(argument, memory.value) for argument, memory in self._memories.items()]
        self._arguments = (Argument * len(pairs))(*pairs)
        self._addresses: dict[int, int] = {}
        self._lock = threading.Lock()

    def size(self, argument: int) -> int:
        """Return the bytes of an argument."""
        return self.library.size(self.layouts[argument])

    def run(self, session: Session, addresses: Mapping[int, int]) -> None:
        """Compute, and wait for the result.

        Args:
            session: of this thread.
            addresses: where the tensor of each argument lies.

        Raises:
            OneDnnError: the library refuses.
        """
        library = self.library
        with self._lock:
            for argument, address in addresses.items():
                self._place(argument, address)
            if self._scratchpad_size:
                self._place(SCRATCHPAD, session.borrow(self._scratchpad_size))
            library.execute(self._primitive.value, session.stream.value, len(self._arguments), self._arguments)
            library.wait(session.stream.value)

    def _place(self, argument: int, address: int) -> None:
        if self._addresses.get(argument) != address:  # a look is quicker than a call
            self.library.set_address(self._memories[argument].value, address)
            self._addresses[argument] = address


class Conversion:
    """A copy of a tensor from one layout and type to another; nothing where they are the same.

    Args:
        library: the library.
        source: the descriptor that is there.
        target: the descriptor that is wanted.
    """

    def __init__(self, library: Library, source: Handle, target: Handle) -> None:
        self.size = library.size(target)
        self._source_size = library.size(source)
        self._kernel: Kernel | None = None
        if not library.same(source, target):
            engine, attributes = library.engine.value, library.attributes.value
            function = "reorder_primitive_desc_create"
            wanted = (source, engine, target, engine, attributes)
            self._kernel = Kernel(library, library.create("primitive_desc", *wanted, function=function), (SRC, DST))

    @property
    def needed(self) -> bool:
        """Whether anything is copied."""
        return self._kernel is not None

    def copy(self, session: Session, address: int, target: int) -> None:
        """Convert what is at one address to another.

        Raises:
            ValueError: the layouts are the same.
        """
        if self._kernel is None:
            raise ValueError("both layouts are the same; there is nothing to convert")
        self._kernel.run(session, {SRC: address, DST: target})

    def enter(self, session: Session, address: int) -> int:
        """Return where the converted tensor is: in scratch memory, or where it was."""
        if self._kernel is None:
            return address
        target = session.take(self.size)
        self._kernel.run(session, {SRC: address, DST: target})
        return target

    def landing(self, session: Session, final: int) -> int:
        """Return where a tensor must be written so that `leave` brings it to `final`."""
        return final if self._kernel is None else session.take(self._source_size)

    def leave(self, session: Session, landed: int, final: int) -> None:
        """Bring a tensor from its landing to `final`."""
        if self._kernel is not None:
            self._kernel.run(session, {SRC: landed, DST: final})
