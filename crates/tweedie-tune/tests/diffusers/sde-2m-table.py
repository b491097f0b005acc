"""DPM-Solver++ SDE-2M eta 1.000, geometric, sigma 40.000 to 0.0500.

Written by a test.

In a pipeline: pipe.scheduler = Tuned.from_config(pipe.scheduler.config,
algorithm_type="sde-dpmsolver++", solver_order=2). Alone: start from scheduler.init_noise_sigma
times noise; for each of scheduler.timesteps call the network on scheduler.scale_model_input(x,
t), and step.
"""
import torch
from diffusers import DPMSolverMultistepScheduler

SIGMAS = [40, 9, 3.5, 1.2, 0.5, 0.2, 0.05, 0]
TIMESTEPS = [852.7286333048723, 658.1887960646897, 502.9889248551602, 293.4796744262964, 144.15387197413398, 57.38336387410005, 10.946696346025108]


class Tuned(DPMSolverMultistepScheduler):
    # Whatever is asked for, the levels are these.
    def set_timesteps(self, num_inference_steps=None, device=None, *args, **kwargs):
        super().set_timesteps(len(TIMESTEPS), device=device)
        self.sigmas = torch.tensor(SIGMAS)
        self.timesteps = torch.tensor(TIMESTEPS, device=device)

    init_noise_sigma = property(lambda self: SIGMAS[0] / (1 + SIGMAS[0] ** 2) ** 0.5, lambda self, value: None)


scheduler = Tuned(num_train_timesteps=1000, beta_schedule="linear", beta_start=0.0001, beta_end=0.02, prediction_type="epsilon", algorithm_type="sde-dpmsolver++", solver_order=2)
scheduler.set_timesteps()
