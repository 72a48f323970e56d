import os

# Workers of pytest-xdist share the cores: one thread each. Set before torch and BLAS are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
