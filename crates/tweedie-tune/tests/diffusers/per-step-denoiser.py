"""Exponential c 0.000 to 0.000 eps_c 1.000 to 1.000, geometric, sigma 14.000 to 0.0500.

Written by a test.

diffusers has no solver with an amount of noise and a multistep weight for each step. The class
below is the sampler itself.

Start from SIGMAS[0] times noise; for each of scheduler.timesteps call the network on
scheduler.scale_model_input(x, t), and step. Timesteps are ln(sigma)/4.

The network must be called as a denoiser: the noisy sample in, the expected clean one out.
"""
import torch
from diffusers import EDMEulerScheduler
from diffusers.utils.torch_utils import randn_tensor

SIGMAS = [14, 9, 3.5, 1.2, 0.5, 0.2, 0.05, 0]
TIMESTEPS = [0.6597643324038146, 0.5493061443340549, 0.313190742123842, 0.04558038919848865, -0.17328679513998632, -0.40235947810852507, -0.7489330683884977]
EPS_C = [1, 1.3, 2, 1, 4, 1.1, 1]
C = [0, 0.4, -0.1, 0.9, 0, 0.5, 0]


class Tuned(EDMEulerScheduler):
    # Whatever is asked for, the levels are these.
    def set_timesteps(self, num_inference_steps=None, device=None, *args, **kwargs):
        super().set_timesteps(len(TIMESTEPS), device=device)
        self.sigmas = torch.tensor(SIGMAS)
        self.timesteps = torch.tensor(TIMESTEPS, device=device)

    init_noise_sigma = property(lambda self: SIGMAS[0], lambda self, value: None)

    def precondition_inputs(self, sample, sigma):
        return sample

    def precondition_outputs(self, sample, model_output, sigma):
        return model_output

    # x' = kept x + (1 - kept)(D + c (D - D_before)) + sqrt(sigma'^2 - kept^2 sigma^2) z
    def step(self, model_output, timestep, sample, generator=None, return_dict=True, **kwargs):
        output = super().step(model_output, timestep, sample)
        denoised = output.pred_original_sample
        i = self.step_index - 1
        sigma, following = SIGMAS[i], SIGMAS[i + 1]
        kept = (following / sigma) ** EPS_C[i]
        ahead = denoised if C[i] == 0 else denoised + C[i] * (denoised - self.before)
        self.before = denoised
        prev_sample = kept * sample + (1 - kept) * ahead
        deviation = max(following**2 - (kept * sigma) ** 2, 0) ** 0.5
        if deviation > 0:
            noise = randn_tensor(
                sample.shape, generator=generator, device=sample.device, dtype=sample.dtype
            )
            prev_sample = prev_sample + deviation * noise
        output.prev_sample = prev_sample
        return output if return_dict else (prev_sample,)


scheduler = Tuned()
scheduler.set_timesteps()
