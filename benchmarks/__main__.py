"""Run every benchmark of this folder and print its table."""

import platform

import torch

from benchmarks import geometry, model, ros_path, run_lengths

print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads")
geometry.main()
run_lengths.main()
model.main([])
ros_path.main([])
