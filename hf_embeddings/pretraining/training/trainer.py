"""The trainer of a run: model, optimizers, data and checkpoints, put together in the state that the run begins in."""

from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import set_seed

from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.model.modeling_triembed import TriEmbedForPreTraining
from hf_embeddings.pretraining.checkpoints.facts import CheckpointFacts
from hf_embeddings.pretraining.checkpoints.output_directory import OutputDirectory
from hf_embeddings.pretraining.checkpoints.push import Push
from hf_embeddings.pretraining.examples.training_phases import phase_at, plan_phases
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.training.first_detection import first_detection
from hf_embeddings.pretraining.training.initial_model import compile_layers, first_model
from hf_embeddings.pretraining.training.loop import Trainer
from hf_embeddings.pretraining.training.micro_batches import MicroBatches
from hf_embeddings.pretraining.training.optimization import build_optimizers
from hf_embeddings.pretraining.training.phase_borders import rope_theta
from hf_embeddings.pretraining.training.processes import share
from hf_embeddings.pretraining.training.progress import Progress
from hf_embeddings.pretraining.training.replaced_tokens import ReplacedTokenDetection
from hf_embeddings.pretraining.training.reporting import Reporter
from hf_embeddings.pretraining.training.state import TrainedModel, TrainingState, load_progress, load_weights
from hf_embeddings.pretraining.training.training_data import Say, TrainingData
from hf_embeddings.pretraining.training.weight_average import WeightAverage
from hf_embeddings.progress import Phases


def build_trainer(
    options: PretrainingOptions,
    data: TrainingData,
    accelerator: Accelerator,
    output: OutputDirectory,
    facts: CheckpointFacts,
    source: Path | None,
    say: Say,
    phases: Phases,
) -> Trainer:
    """Put model, optimizer and data together, in the state of the checkpoint `source` or in that of step 0."""
    training, per_step = options.training, facts.identity.micro_batches_per_step
    set_seed(options.seed)
    model = _build_model(options, data, source)
    with phases("planning the training"):
        training_phases = plan_phases(data.training, options.examples, training, seed=options.seed, per_step=per_step)
    parameters = model.num_parameters()
    say(f"model: {parameters:,} parameters, {data.config.position_embedding_type} positions")
    if isinstance(model, ReplacedTokenDetection):
        say(f"generator: {model.generator.num_parameters():,} parameters, token tables {model.embeddings}")
    shared_model = share(model, accelerator, training)
    plain = accelerator.unwrap_model(shared_model)
    optimizers = [accelerator.prepare_optimizer(optimizer) for optimizer in build_optimizers(plain, training)]
    average = WeightAverage(plain, training.ema_decay) if training.ema_decay else None
    progress = load_progress(source) if source else Progress()
    state = TrainingState(plain, optimizers, average, progress)
    if source:
        state.load(source)
    checkpoints, tokenizer = output.checkpoints, data.tokenizer
    checkpoints.kept = frozenset(phase.end for phase in training_phases[:-1])

    def save() -> bool:
        tensors = state.gather()
        # After a step that was not finite the weights may be the cause, and then there is nothing worth keeping.
        if progress.monitor.in_a_row and not all(tensor.isfinite().all() for tensor in tensors[WEIGHTS].values()):
            return False
        if accelerator.is_main_process:
            checkpoints.save(progress.step, lambda folder: state.write(folder, tensors, tokenizer), facts.to_dict())
        return True

    trainer = Trainer(
        model=shared_model,
        optimizers=optimizers,
        average=average,
        accelerator=accelerator,
        options=options,
        progress=progress,
        micro_batches=MicroBatches(training_phases, data.vocabulary, options.examples, per_step=per_step),
        held_out=data.held_out,
        checkpoints=checkpoints,
        reporter=Reporter(
            accelerator,
            training,
            output.folder,
            progress=progress,
            phases=phases,
            training_phases=training_phases,
            say=say,
        ),
        push=Push(options.hub, checkpoints) if options.hub.model_id and accelerator.is_main_process else None,
        folder=output.folder,
        parameters=parameters,
        rope_theta=rope_theta(training, data.config),
        save=save,
    )
    trainer.set_phase(phase_at(training_phases, progress.step))
    return trainer


def _build_model(options: PretrainingOptions, data: TrainingData, source: Path | None) -> TrainedModel:
    """Return the model with the weights of the checkpoint `source`, or those that a run begins with."""
    training = options.training
    model: TrainedModel
    detects, config, frequencies = "rtd" in options.examples.objectives, data.config, data.log_frequencies
    if source:
        model = ReplacedTokenDetection(config, options.generator) if detects else TriEmbedForPreTraining(config)
    elif detects:
        model = first_detection(config, options.generator, data.base, log_frequencies=frequencies)
    else:
        model = first_model(config, data.base, log_frequencies=frequencies)
    model.set_attn_implementation(training.attention)
    if training.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    if training.compile:
        compile_layers(model)
    if source:
        load_weights(model, source)
    return model
