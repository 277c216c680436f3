"""Every key of a recipe has a test that fails when the key does nothing; a new key must name its own here."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from ppresnet.config import RunConfig
from ppresnet.pixels.augment import AUGMENTS

TESTS = Path(__file__).resolve().parents[1]
OPTIONS, RUN, AMP = "train/test_options.py::", "train/test_run.py::", "train/test_amp.py::"
OPTIM, SCHEDULE, WATCHED = "train/test_optim.py::", "train/test_schedule.py::", "train/monitors/test_watched_run.py::"
FORMULA = OPTIM + "test_each_parameter_follows_the_formula_at_its_own_pace"
SPEC = OPTIONS + "test_every_key_of_the_model_is_in_the_network"
CHANGED = OPTIONS + "test_an_option_changes_the_run"
FROZEN = OPTIONS + "test_what_is_frozen_stays_and_nothing_else"
RHYTHM = OPTIONS + "test_the_rhythm_of_a_run"
PICTURE = "data/test_samples.py::test_preprocess_is_the_recipe"
JITTER = "pixels/test_augment.py::test_jitter_one_property_at_a_time"
RESIZED_CROP = "pixels/test_augment.py::test_resized_crop_keeps_to_its_bounds"
ERASED = "pixels/test_erase.py::test_erased_share_and_probability"
RANDOM = "pixels/test_policies.py::test_rand_augment_does_n_operations_of_magnitude_m"
LISTS = AMP + "test_level_type_and_lists_reach_paddle"

HELD_BY: dict[str, str] = {
    "name": RHYTHM,
    "seed": CHANGED,
    "output": "config/test_load.py::test_output_follows_the_name_unless_given",
    "init_from": RUN + "test_init_from_starts_with_the_weights_of_a_run",
    "model.name": SPEC,
    "model.num_classes": SPEC,
    "model.in_channels": SPEC,
    "model.act": SPEC,
    "model.norm": SPEC,
    "model.dropout": CHANGED,
    "model.drop_path": CHANGED,
    "model.zero_init_gamma": CHANGED,
    "data.format": "data/test_cifar.py::test_cifar100_takes_the_fine_label",
    "data.multi_label": "data/test_listfile.py::test_several_labels_an_image",
    "data.root": "data/test_listfile.py::test_list_elsewhere_and_class_names",
    "data.train": "data/test_folder.py::test_missing_split_names_what_is_there",
    "data.val": "data/test_folder.py::test_evaluation_without_training_images",
    "data.input_size": PICTURE,
    "data.mean": PICTURE,
    "data.std": PICTURE,
    "data.resize": PICTURE,
    "data.augment": CHANGED,
    "data.workers": OPTIONS + "test_the_loaders_have_the_workers_of_the_recipe",
    "data.cache_mb": "data/test_kept.py::test_the_recipe_decides",
    "data.max_broken": RUN + "test_broken_images_are_named_and_skipped_up_to_the_limit",
    "train.epochs": RUN + "test_a_run_learns_and_leaves_everything_behind",
    "train.batch_size": RUN + "test_accumulated_batches_are_one_step",
    "train.accumulate": RUN + "test_accumulated_batches_are_one_step",
    "train.loss": "train/test_losses.py::test_a_step_learns_by_the_loss_of_the_recipe",
    "train.label_smoothing": CHANGED,
    "train.eval_every": RHYTHM,
    "train.mixup": "train/test_passes.py::test_mixed_images_are_told_both_labels",
    "train.cutmix": "train/test_passes.py::test_mixed_images_are_told_both_labels",
    "train.start_size": "train/test_growth.py::test_the_network_sees_small_images_first",
    "train.grow_epochs": "train/test_growth.py::test_the_network_sees_small_images_first",
    "train.patience": OPTIONS + "test_a_run_without_progress_ends_early",
    "optim.name": FORMULA,
    "optim.lr": FORMULA,
    "optim.lr_batch": SCHEDULE + "test_the_rate_is_proportional_to_the_images_of_a_step",
    "optim.momentum": FORMULA,
    "optim.nesterov": FORMULA,
    "optim.beta1": FORMULA,
    "optim.beta2": FORMULA,
    "optim.epsilon": FORMULA,
    "optim.rho": FORMULA,
    "optim.centered": FORMULA,
    "optim.trust": FORMULA,
    "optim.weight_decay": OPTIM + "test_biases_and_norms_are_not_decayed",
    "optim.clip_norm": OPTIM + "test_gradients_are_clipped_by_the_norm_of_all_of_them_whatever_their_group",
    "optim.layer_decay": "train/test_groups.py::test_layer_decay_slows_each_part_before_the_last",
    "optim.groups": "train/test_groups.py::test_the_last_rule_that_matches_holds_on_top_of_layer_decay",
    "schedule.name": SCHEDULE + "test_step_and_multistep_drop_at_their_epochs",
    "schedule.warmup_epochs": SCHEDULE + "test_warm_up_is_linear_and_ends_at_the_base_rate",
    "schedule.step_epochs": SCHEDULE + "test_step_and_multistep_drop_at_their_epochs",
    "schedule.milestones": SCHEDULE + "test_step_and_multistep_drop_at_their_epochs",
    "schedule.gamma": SCHEDULE + "test_step_and_multistep_drop_at_their_epochs",
    "schedule.power": SCHEDULE + "test_polynomial_equals_paddles_and_ends_at_its_floor",
    "schedule.start": SCHEDULE + "test_one_cycle_equals_paddles",
    "schedule.min_lr": SCHEDULE + "test_the_rate_stays_above_its_floor",
    "amp.level": LISTS,
    "amp.dtype": LISTS,
    "amp.allow": LISTS,
    "amp.deny": LISTS,
    "amp.scale": LISTS,
    "amp.scale_steps": AMP + "test_the_scale_is_saved_restored_and_told",
    "recompute.every": "train/test_recompute.py::test_blocks_really_run_twice",
    "recompute.budget_mb": "train/test_activations.py::test_the_budget_is_for_the_images_of_one_process",
    "ema.decay": OPTIONS + "test_the_average_is_evaluated_kept_apart_and_used",
    "distill.checkpoint": OPTIONS + "test_a_teacher_is_learned_from",
    "distill.weight": "train/test_passes.py::test_the_teacher_has_its_weight_at_its_temperature",
    "distill.temperature": "train/test_passes.py::test_the_teacher_has_its_weight_at_its_temperature",
    "distill.maps": "train/test_teaching.py::test_a_run_learns_from_maps_of_its_own_widths_only",
    "sparsity.bn": "train/test_sparsity.py::test_a_run_makes_scales_and_channels_small",
    "sparsity.group_lasso": "train/test_sparsity.py::test_a_run_makes_scales_and_channels_small",
    "finetune.frozen_stages": FROZEN,
    "finetune.frozen_statistics": FROZEN,
    "finetune.frozen_affine": FROZEN,
    "finetune.new_head": OPTIONS + "test_a_new_head_starts_anew",
    "guard.spike": "train/test_guards.py::test_a_step_judges_spikes_as_the_recipe_says",
    "guard.skips": "train/test_guards.py::test_bad_steps_are_left_out_then_undone_then_the_end",
    "guard.rollbacks": "train/test_guards.py::test_bad_steps_are_left_out_then_undone_then_the_end",
    "hardware.device": "hardware/test_device.py::test_gpu_asked_for_where_there_is_none",
    "hardware.threads": "hardware/test_environment.py::test_asked_for_threads_win_over_the_environment",
    "hardware.onednn": "train/test_kernels.py::test_a_run_says_and_keeps_whose_kernels_it_used",
    "hardware.malloc": "hardware/test_malloc.py::test_tuned_process_starts_again_once_and_keeps_its_pages",
    "hardware.processes": "tools/test_parallel.py::test_the_command_line_wins_over_the_recipe",
    "checkpoint.every_epochs": RHYTHM,
    "checkpoint.every_steps": RHYTHM,
    "checkpoint.keep": RHYTHM,
    "log.every": RUN + "test_a_run_learns_and_leaves_everything_behind",
    "log.visualdl": WATCHED + "test_nothing_is_written_unless_asked_for",
    "log.histograms_every": WATCHED + "test_visualdl_has_what_the_recipe_asks_for",
    "log.images": WATCHED + "test_visualdl_has_what_the_recipe_asks_for",
    "log.graph": WATCHED + "test_visualdl_has_what_the_recipe_asks_for",
    "log.gradients_every": "train/monitors/test_gradient_norms.py::test_norms_are_those_of_numpy_when_they_are_due",
    "log.activations_every": "train/monitors/test_relus.py::test_shares_are_those_of_numpy_over_the_period",
    "log.prometheus_port": WATCHED + "test_the_endpoint_answers_while_the_run_goes_on_and_gives_its_port_back",
    "log.prometheus_host": "train/monitors/test_prometheus.py::test_the_endpoint_listens_where_it_was_told_to",
    "log.textfile": WATCHED + "test_the_textfile_has_the_last_numbers_and_says_that_the_run_ended",
    "log.wandb": WATCHED + "test_the_service_gets_every_number_over_the_step",
    "random_crop.padding": "pixels/test_augment.py::test_crops_are_all_the_windows_of_the_padded_image",
    "random_crop.padding_mode": "pixels/test_augment.py::test_crops_of_an_image_that_goes_on",
    "random_flip.p": "pixels/test_augment.py::test_flip_follows_its_probability",
    "color_jitter.brightness": JITTER,
    "color_jitter.contrast": JITTER,
    "color_jitter.saturation": JITTER,
    "color_jitter.hue": "pixels/test_augment.py::test_jitter_turns_hue",
    "random_resized_crop.scale": RESIZED_CROP,
    "random_resized_crop.ratio": RESIZED_CROP,
    "rand_augment.n": RANDOM,
    "rand_augment.m": RANDOM,
    "auto_augment.policy": "pixels/test_policies.py::test_a_policy_does_its_own_pairs",
    "random_erasing.p": ERASED,
    "random_erasing.scale": ERASED,
    "random_erasing.ratio": "pixels/test_erase.py::test_erased_parts_have_the_ratio_asked_for",
    "random_erasing.fill": "pixels/test_erase.py::test_fill",
    "cutout.length": "pixels/test_erase.py::test_cutout_is_a_black_square_that_may_stick_out",
}


def keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


@cache
def defined_in(file: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_key_names_its_test() -> None:
    options = {f"{name}.{key}" for name, kind in AUGMENTS.items() for key in kind.model_fields if key != "name"}
    assert set(HELD_BY) == {*keys(RunConfig), *options}


@pytest.mark.parametrize("held_by", sorted(set(HELD_BY.values())))
def test_that_test_is_there(held_by: str) -> None:
    file, _, name = held_by.partition("::")
    assert name in defined_in(file)
