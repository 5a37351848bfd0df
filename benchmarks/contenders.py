"""The names of the contenders, as results.json has them, and short ones for the tables."""

EAGER, FUSED, BEST = "PyTorch eager", "PyTorch eager, fused AdamW", "PyTorch, one compiled graph"
FOLDED, JAX, SCAN = "PyTorch, gate folded into W by hand", "JAX jit", "JAX scan of 100 steps"
LAST, COMPILED = "PyTorch eager, channels last", "PyTorch, torch.compile"
PRODUCTS = "matrix products alone"
SHORT = {
    EAGER: "eager",
    FUSED: "fused",
    BEST: "torch best",
    FOLDED: "torch folded",
    JAX: "JAX",
    SCAN: "JAX scan",
    LAST: "channels last",
    COMPILED: "compile",
    PRODUCTS: "products",
}
