"""Take a few training steps, in one process or under torchrun, and save what came of them.

python run_steps.py CONFIG OUT: each process writes OUT/rank<number>.pt with the loss terms of
every step and its weights.
"""

import sys
from pathlib import Path

import torch

from stdet.config import load_config
from stdet.datasets.splits import load_sequences
from stdet.training import distributed
from stdet.training.trainer import Trainer


def main() -> None:
    config_path, out = Path(sys.argv[1]), Path(sys.argv[2])
    config = load_config(config_path)
    torch.set_num_threads(1)
    distributed.start_processes(torch.device("cpu"))
    rank = distributed.process_rank()
    trainer = Trainer(
        config,
        train_sequences=load_sequences(config.data, "train"),
        validation_sequences=[],
        run_dir=out,
    )
    trainer.step_module.train()
    terms = []
    for trainer.batches.epoch in range(config.train.epochs):
        terms += [trainer._train_batch(batch) for batch in trainer.loader]
    state = {"terms": torch.stack(terms), "weights": trainer.step_module.state_dict()}
    torch.save(state, out / f"rank{rank}.pt")
    distributed.stop_processes()


if __name__ == "__main__":
    main()
