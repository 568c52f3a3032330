"""Recurrent networks over a prefix tree: the state at a node is a function of its token and its parent's state.

`rnn`, `gru` and `lstm` are layers of PyTorch's own cells, with its names: h is the hidden state, c the
cell state of an LSTM. `kuramoto` is one layer of oscillators on a sphere (Miyato et al. 2024, arXiv
2410.13821), driven by a stimulus per token. `selective_ssm` is the selective state space of Mamba (Gu and Dao 2023,
arXiv 2312.00752). A step calls the hook point of a layer's state before it is carried forward: an intervention there
changes the layers above, the prediction, and the states after later tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.input_layout import InputLayout
from geometry.networks.transformer import EPSILON

CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


@dataclass(frozen=True)
class RecurrentConfig:
    """The architecture and sizes; ``d_model`` is the width of the embedding and of each layer's hidden state."""

    architecture: str  # rnn, gru, lstm, kuramoto or selective_ssm
    d_vocab: int
    n_ctx: int
    n_layers: int
    d_model: int
    oscillator_dim: int = 0  # of kuramoto, as the following two: components of each oscillator
    kuramoto_steps: int = 1  # updates per token
    coupled: bool = True  # with the coupling matrix J
    d_state: int = 0  # of selective_ssm: components of the state of each channel
    output: str = "softmax"  # of the logits that is the prediction, or stablemax


class RecurrentLayer(nn.Module):
    """A layer whose output is its state, or the first of what it carries forward.

    A kind of layer defines the `width` of its state, the `initial` one before the first token, and a `step`.
    """

    width: int

    def initial(self) -> Float[Tensor, " width"]:
        raise NotImplementedError

    def step(
        self, inputs: Float[Tensor, "node d_input"], state: Float[Tensor, "node width"]
    ) -> Float[Tensor, "node width"]:
        """The state at some nodes, given that before them."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "node d_model"], carry: Callable) -> Float[Tensor, "node d_model"]:
        """The layer output; ``carry(step, initial, inputs)`` is the state at each node (`InputLayout.carry`)."""
        return carry(self.step, self.initial(), x)[:, : x.shape[1]]


class CellLayer(RecurrentLayer):
    """A cell of PyTorch whose initial state is zero."""

    def __init__(self, config: RecurrentConfig):
        super().__init__()
        self.cell = CELLS[config.architecture](config.d_model, config.d_model)
        self.has_c = config.architecture == "lstm"
        self.width = config.d_model * (1 + self.has_c)  # of the state: h, then c
        self.hook_h = nn.Identity()
        if self.has_c:
            self.hook_c = nn.Identity()

    def initial(self) -> Float[Tensor, " width"]:
        return self.cell.weight_hh.new_zeros(self.width)

    def step(
        self, inputs: Float[Tensor, "node d_model"], state: Float[Tensor, "node width"]
    ) -> Float[Tensor, "node width"]:
        if not self.has_c:
            return self.hook_h(self.cell(inputs, state))
        h, c = self.cell(inputs, state.chunk(2, dim=1))
        c = self.hook_c(c)
        return torch.cat([self.hook_h(h), c], dim=1)


class OscillatorLayer(RecurrentLayer):
    """Oscillators x on a sphere with natural frequencies Omega, stimulus c and coupling J:

    x <- normalize(x + gamma (Omega x + y - <y, x> x)), y = c + J x, from a learned state; without J if not coupled.
    """

    def __init__(self, config: RecurrentConfig):
        super().__init__()
        self.width, self.n_steps, self.coupled = config.d_model, config.kuramoto_steps, config.coupled
        self.shape = config.d_model // config.oscillator_dim, config.oscillator_dim
        self.x_0 = nn.Parameter(torch.empty(self.shape))
        self.W_Omega = nn.Parameter(torch.empty(*self.shape, config.oscillator_dim))
        if config.coupled:
            self.J = nn.Parameter(torch.empty(config.d_model, config.d_model))
        self.gamma = nn.Parameter(torch.ones(1))
        self.hook_x = nn.Identity()

    def initial(self) -> Float[Tensor, " width"]:
        return F.normalize(self.x_0, dim=1).flatten()

    def step(
        self, stimulus: Float[Tensor, "node d_model"], state: Float[Tensor, "node width"]
    ) -> Float[Tensor, "node width"]:
        drive = torch.block_diag(*(self.W_Omega - self.W_Omega.mT))
        if self.coupled:
            drive = drive + self.J
        for _ in range(self.n_steps):
            # Omega is antisymmetric: <Omega x, x> is 0, so one projection serves Omega x and y together.
            pull = torch.addmm(stimulus, state, drive.T).unflatten(1, self.shape)
            x = state.unflatten(1, self.shape)
            pull = pull - (pull * x).sum(2, keepdim=True) * x
            state = F.normalize(x + self.gamma * pull, dim=2).flatten(1)
        return self.hook_x(state)


class SelectiveLayer(RecurrentLayer):
    """A selective state space with a gate and a residual connection; d_model / d_state channels u with states h:

    h <- exp(Delta A) h + Delta B u, y = C h + D u, x <- x + W_out (y silu(z)).

    u, z, Delta, B and C are projections of the normalised input x, side by side as in Mamba-2 (Dao and Gu 2024, arXiv
    2405.21060); A is negative and diagonal. Mamba's short convolution is left out, and the scale of RMSNorm is in W_in.
    """

    def __init__(self, config: RecurrentConfig):
        super().__init__()
        self.width, self.d_state = config.d_model, config.d_state
        self.n_channels = config.d_model // config.d_state
        self.in_proj = nn.Linear(config.d_model, 3 * self.n_channels + 2 * config.d_state)
        self.A_log = nn.Parameter(torch.empty(self.n_channels, config.d_state))
        self.D = nn.Parameter(torch.empty(self.n_channels))
        self.out_proj = nn.Linear(self.n_channels, config.d_model)
        self.hook_h, self.hook_resid_post = nn.Identity(), nn.Identity()

    def initial(self) -> Float[Tensor, " width"]:
        return self.D.new_zeros(self.width)

    def step(
        self, inputs: Float[Tensor, "node two_width"], state: Float[Tensor, "node width"]
    ) -> Float[Tensor, "node width"]:
        decay, drive = inputs.chunk(2, dim=1)
        return self.hook_h(decay * state + drive)

    def forward(self, x: Float[Tensor, "node d_model"], carry: Callable) -> Float[Tensor, "node d_model"]:
        """The residual stream behind the layer."""
        sizes = [self.n_channels] * 3 + [self.d_state] * 2
        normalized = F.rms_norm(x, x.shape[1:], eps=EPSILON)
        u, z, delta, B, C = self.in_proj(normalized).split(sizes, dim=1)
        delta = F.softplus(delta)
        decay = torch.exp(-delta[:, :, None] * self.A_log.exp())
        drive = (delta * u)[:, :, None] * B[:, None]
        h = carry(self.step, self.initial(), torch.cat([decay.flatten(1), drive.flatten(1)], dim=1))
        y = (h.unflatten(1, self.A_log.shape) * C[:, None]).sum(2) + self.D * u
        return self.hook_resid_post(x + self.out_proj(y * F.silu(z)))


LAYERS = {"kuramoto": OscillatorLayer, "selective_ssm": SelectiveLayer}
"""Of the other architectures, `CellLayer`."""


class Recurrent(HookedNetwork):
    """An embedding, recurrent layers of one kind, and a linear unembedding."""

    def __init__(self, config: RecurrentConfig):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.d_vocab, config.d_model)
        self.hook_embed = nn.Identity()
        kind = LAYERS.get(config.architecture, CellLayer)
        self.layers = nn.ModuleList(kind(config) for _ in range(config.n_layers))
        self.unembed = nn.Linear(config.d_model, config.d_vocab)
        self.cache_width = self.layers[0].width

    def initialize(self, generator: torch.Generator) -> None:
        """PyTorch's defaults: a normal embedding, all else uniform within 1 / sqrt(d_model); gamma and D are 1, and the
        decay rates of each channel's state 1, 2, 3, ... as in Mamba.
        """
        bound = self.config.d_model**-0.5
        for name, parameter in self.named_parameters():
            if name.startswith("embed."):
                nn.init.normal_(parameter, generator=generator)
            elif name.endswith((".gamma", ".D")):
                nn.init.ones_(parameter)
            elif name.endswith(".A_log"):
                with torch.no_grad():
                    parameter.copy_(torch.arange(1, self.config.d_state + 1).log())
            else:
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, tokens: Integer[Tensor, " node"], layout: InputLayout) -> Float[Tensor, "node d_vocab"]:
        """Next-token logits after each node's prefix."""
        x = self.hook_embed(self.embed(tokens))
        for index, layer in enumerate(self.layers):
            x = layer(x, partial(layout.carry, index))
        return self.unembed(x)
