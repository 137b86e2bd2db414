#!/usr/bin/env python3
"""The peer of `hadal bench train`: one training step of a DeepSeek-V3 model in PyTorch, FP32, on the CPU.

Written as one would write it for PyTorch 1.13 (Debian's python3-torch): MLA in its expanded form with batched
matmuls, tokens sorted by expert so that each expert is three matmuls over a contiguous slice (faster here than
DeepSeek's own loop of torch.where per expert; --experts where measures that one), the shared expert, the
sigmoid gate with noaux_tc selection, cross-entropy, clipping and torch.optim.AdamW with foreach. The model and the
batch are those of the C++ side. Prints one JSON line: tokens_per_s of the median timed step.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

VOCAB, HIDDEN, LAYERS, DENSE_LAYERS, INTERMEDIATE = 4096, 256, 6, 1, 704
HEADS, NOPE, ROPE, V_DIM, KV_LORA = 8, 32, 16, 32, 64
EXPERTS, TOP_K, EXPERT_SIZE, SHARED = 32, 4, 128, 1
BATCH, LENGTH = 8, 256
THETA, EPS, INIT_STD = 10000.0, 1e-6, 0.02


class RMSNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * self.weight


def linear(n_in, n_out):
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.normal_(layer.weight, std=INIT_STD)
    return layer


def rope_table(length):
    frequencies = 1.0 / THETA ** (torch.arange(0, ROPE, 2).float() / ROPE)
    angles = torch.outer(torch.arange(length).float(), frequencies)  # [length, ROPE / 2]
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):  # x [batch, heads, length, ROPE], interleaved pairs
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = linear(HIDDEN, HEADS * (NOPE + ROPE))
        self.kv_a_proj_with_mqa = linear(HIDDEN, KV_LORA + ROPE)
        self.kv_a_layernorm = RMSNorm(KV_LORA)
        self.kv_b_proj = linear(KV_LORA, HEADS * (NOPE + V_DIM))
        self.o_proj = linear(HEADS * V_DIM, HIDDEN)

    def forward(self, x, cos, sin, mask):
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, HEADS, NOPE + ROPE).transpose(1, 2)
        q_nope, q_pe = q.split([NOPE, ROPE], dim=-1)
        latent, k_pe = self.kv_a_proj_with_mqa(x).split([KV_LORA, ROPE], dim=-1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).view(b, t, HEADS, NOPE + V_DIM).transpose(1, 2)
        k_nope, v = kv.split([NOPE, V_DIM], dim=-1)
        q_pe = rotate(q_pe, cos, sin)
        k_pe = rotate(k_pe.view(b, 1, t, ROPE), cos, sin).expand(b, HEADS, t, ROPE)
        q = torch.cat((q_nope, q_pe), dim=-1)
        k = torch.cat((k_nope, k_pe), dim=-1)
        scores = q @ k.transpose(-1, -2) * (NOPE + ROPE) ** -0.5 + mask
        out = scores.softmax(-1) @ v
        return self.o_proj(out.transpose(1, 2).reshape(b, t, HEADS * V_DIM))


class Mlp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gate_proj = linear(HIDDEN, size)
        self.up_proj = linear(HIDDEN, size)
        self.down_proj = linear(size, HIDDEN)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Moe(nn.Module):
    def __init__(self, loop):
        super().__init__()
        self.gate = linear(HIDDEN, EXPERTS)
        self.register_buffer("e_score_correction_bias", torch.zeros(EXPERTS))
        self.experts = nn.ModuleList(Mlp(EXPERT_SIZE) for _ in range(EXPERTS))
        self.shared_experts = Mlp(EXPERT_SIZE * SHARED)
        self.loop = loop

    def forward(self, x):
        shape = x.shape
        x = x.view(-1, HIDDEN)
        scores = self.gate(x).sigmoid()
        chosen = (scores.detach() + self.e_score_correction_bias).topk(TOP_K, dim=-1).indices  # [tokens, TOP_K]
        weights = scores.gather(1, chosen)
        weights = weights / weights.sum(-1, keepdim=True)
        y = self.where_loop(x, chosen, weights) if self.loop == "where" else self.sorted_loop(x, chosen, weights)
        return (y + self.shared_experts(x)).view(shape)

    def sorted_loop(self, x, chosen, weights):
        order = chosen.flatten().argsort()
        rows = torch.div(order, TOP_K, rounding_mode="floor")
        counts = torch.bincount(chosen.flatten(), minlength=EXPERTS).tolist()
        inputs = x.index_select(0, rows).split(counts)
        outputs = [expert(part) for expert, part in zip(self.experts, inputs) if part.shape[0]]
        scaled = torch.cat(outputs) * weights.flatten().index_select(0, order).unsqueeze(1)
        return torch.zeros_like(x).index_add(0, rows, scaled)

    def where_loop(self, x, chosen, weights):
        y = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, slot = torch.where(chosen == number)
            if rows.numel():
                y = y.index_add(0, rows, expert(x.index_select(0, rows)) * weights[rows, slot].unsqueeze(1))
        return y


class Layer(nn.Module):
    def __init__(self, number, loop):
        super().__init__()
        self.input_layernorm = RMSNorm(HIDDEN)
        self.self_attn = Attention()
        self.post_attention_layernorm = RMSNorm(HIDDEN)
        self.mlp = Mlp(INTERMEDIATE) if number < DENSE_LAYERS else Moe(loop)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self, loop):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB, HIDDEN)
        nn.init.normal_(self.embed_tokens.weight, std=INIT_STD)
        self.layers = nn.ModuleList(Layer(i, loop) for i in range(LAYERS))
        self.norm = RMSNorm(HIDDEN)
        self.lm_head = linear(HIDDEN, VOCAB)
        cos, sin = rope_table(LENGTH)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), float("-inf")).triu(1))

    def forward(self, tokens):
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin, self.mask)
        return self.lm_head(self.norm(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--experts", choices=["sorted", "where"], default="sorted")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    model = Model(arguments.experts)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, foreach=True)
    seconds, losses = [], []
    for step in range(arguments.warmup + arguments.steps):
        tokens = torch.randint(0, VOCAB, (BATCH, LENGTH + 1))
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), tokens[:, 1:].reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= arguments.warmup:
            seconds.append(time.perf_counter() - start)
        losses.append(loss.item())
    median = statistics.median(seconds)
    print(json.dumps({"peer": f"PyTorch {torch.__version__}", "threads": arguments.threads,
                      "experts": arguments.experts, "step_ms": round(median * 1e3, 1),
                      "tokens_per_s": round(BATCH * LENGTH / median, 1), "first_loss": round(losses[0], 4),
                      "last_loss": round(losses[-1], 4),
                      "parameters": sum(p.numel() for p in model.parameters())}))


if __name__ == "__main__":
    main()
