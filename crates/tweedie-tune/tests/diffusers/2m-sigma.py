"""DPM-Solver++ SDE-2M eta 0.000, geometric, sigma 40.000 to 0.0500.

Written by a test.

Start from SIGMAS[0] times noise; for each of scheduler.timesteps call the network on
scheduler.scale_model_input(x, t), and step. Timesteps are ln(sigma)/4.
"""
import torch
from diffusers import EDMDPMSolverMultistepScheduler

SIGMAS = [40, 9, 3.5, 1.2, 0.5, 0.2, 0.05, 0]
TIMESTEPS = [0.9222198635284841, 0.5493061443340549, 0.313190742123842, 0.04558038919848865, -0.17328679513998632, -0.40235947810852507, -0.7489330683884977]


class Tuned(EDMDPMSolverMultistepScheduler):
    # Whatever is asked for, the levels are these.
    def set_timesteps(self, num_inference_steps=None, device=None, *args, **kwargs):
        super().set_timesteps(len(TIMESTEPS), device=device)
        self.sigmas = torch.tensor(SIGMAS)
        self.timesteps = torch.tensor(TIMESTEPS, device=device)

    init_noise_sigma = property(lambda self: SIGMAS[0], lambda self, value: None)


scheduler = Tuned(sigma_data=0.5, algorithm_type="dpmsolver++", solver_order=2)
scheduler.set_timesteps()
