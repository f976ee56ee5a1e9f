"""The rows of the table of figures, as a person reads and writes them; ``measures.py`` makes the table of them."""

from __future__ import annotations

HEADLINE = (
    *("wer", "cer", "cider_d", "bleu_4", "distinct_captions", "bleu", "chrf", "perplexity"),
    *("masked_accuracy", "pseudo_perplexity", "masked_perplexity"),
    *("rouge1", "rouge2", "rougel", "exact", "unknown_words", "names_written", "copy_accuracy"),
    *("onset_error_ms", "pointing_accuracy", "alignment_accuracy", "faithfulness_deletion"),
    *("attention_entropy", "attention_peak"),
)
"""What a run is judged by, the first of them first."""

BASELINES: dict[str, str | float] = {
    "masked_accuracy": "masked_accuracy_frequent",
    "pointing_accuracy": "pointing_center",
    "box_mass_gain": 0.0,
    "box_iou": "box_iou_center",
    "onset_error_ms": "onset_even_ms",
    "offset_error_ms": "offset_even_ms",
    "rouge1": "rouge1_first",
    "rouge2": "rouge2_first",
    "rougel": "rougel_first",
    "rougelsum": "rougelsum_first",
    "live_wer": "live_wer_whole",
    "alignment_accuracy": "alignment_uniform",
    "alignment_mass_gain": 0.0,
    "confidence_error": "confidence_error_plain",
    "faithfulness_deletion": 0.0,
    "faithfulness_insertion": 0.0,
    "faithfulness_input_deletion": 0.0,
    "faithfulness_input_insertion": 0.0,
}
"""What a figure is read beside: another figure, or what chance gives."""

# Group and what the figures need -> name, unit, which way is better, title, meaning. A name in brackets is a detail.
ROWS: dict[tuple[str, str], str] = {
    ("texts", "transcripts"): """
        wer                      | share | lower  | Word error rate | wrong, missing and surplus words over true words
        cer                      | share | lower  | Character error rate | the same of characters, spaces included
        substitutions            | share | lower  | Wrong words | the part of the word error rate that is wrong words
        deletions                | share | lower  | Missing words | the part that is missing words
        insertions               | share | lower  | Surplus words | the part that is surplus words""",
    ("texts", "captions"): """
        cider_d                  | score | higher | CIDEr-D | likeness to the references, rare words count more; 0 to 10
        bleu_1                   | score | higher | BLEU-1 | words that a reference has too
        bleu_2                   | score | higher | BLEU-2 | the same of runs of up to two words
        bleu_3                   | score | higher | BLEU-3 | the same of runs of up to three words
        bleu_4                   | score | higher | BLEU-4 | the same of runs of up to four words
        rouge_l                  | score | higher | ROUGE-L | the longest common sequence of words
        distinct_captions        | share | higher | Different captions | different captions over all captions
        vocabulary_used          | count | higher | Different words | number of different words in the captions""",
    ("texts", "captions and their training set"): """
        training_captions        | share | -      | Captions from training | those that stand there word for word
        training_vocabulary_used | share | higher | Training words used | of that set's words, those written""",
    ("texts", "captions and Java"): """
        meteor                   | score | higher | METEOR | words that match by form, stem or meaning
        spice                    | score | higher | SPICE | things, properties and relations that match""",
    ("texts", "translations"): """
        bleu                     | score | higher | BLEU | runs of up to four words that match, by sacreBLEU
        chrf                     | score | higher | chrF | runs of up to six characters that match, by sacreBLEU
        length_ratio             | number | -     | Length ratio | words written over words of the references""",
    ("texts", "summaries"): """
        rouge1                   | score | higher | ROUGE-1 | words that match, by rouge-score with stemming
        rouge2                   | score | higher | ROUGE-2 | pairs of words that match, likewise
        rougel                   | score | higher | ROUGE-L, stemmed | the longest common sequence of words, likewise
        rougelsum                | score | higher | ROUGE-Lsum | the same sentence by sentence, likewise
        exact                    | share | higher | Exact texts | texts that equal a reference
        summary_ratio            | number | -     | Length against the references | words written over their words
        repeated_3grams          | share | lower  | Repeats | runs of three words that the text had before
        novel_1grams             | share | -      | New words | different words that the source lacks
        novel_2grams             | share | -      | New pairs of words | the same of pairs
        novel_3grams             | share | -      | New runs of three words | the same of runs of three
        (novel_1grams_references) | share | -     | New words, references | of the first reference
        (novel_2grams_references) | share | -     | New pairs of words, references | of the first reference
        (novel_3grams_references) | share | -     | New runs of three words, references | of the first reference""",
    ("texts", "a language model"): """
        perplexity               | number | lower | Perplexity | of each next token, the end of a text included""",
    ("texts", "a masked language model"): """
        masked_accuracy          | share | higher | Hidden words found | whole words, of those hidden in a text
        (masked_accuracy_frequent) | share | -    | Hidden words, most frequent | the most frequent word of training
        masked_perplexity        | number | lower | Masked perplexity | of each hidden token
        pseudo_perplexity        | number | lower | Pseudo-perplexity | of each token, each word hidden by itself""",
    ("texts", "words with probabilities"): """
        confidence_error         | share | lower  | Confidence error | distance from the share of right words
        (confidence_error_plain) | share | -      | Error of plain probabilities | the same before calibration
        (confidence_temperature) | number | -     | Temperature of confidence | above 1: probabilities were too sure""",
    ("live", "streaming=true"): """
        live_wer                 | share | lower  | Word error rate, live | of the words that became sure one by one
        (live_wer_whole)         | share | -      | Word error rate, whole | of the same recordings, heard to their end
        live_wer_added           | share | lower  | Words wrong by being live | the difference of the two
        live_changed             | share | lower  | Words that changed | that were shown before they were sure
        live_rtf                 | number | lower | Live work over time | seconds of work for a second of sound
        (live_look_ms)           | ms    | lower  | Time of a look | median, of reading what was heard so far
        (live_num_examples)      | count | -      | Recordings heard live | how many these figures are over""",
    ("live", "streaming=true, times of words"): """
        emission_delay_ms        | ms    | lower  | Emission delay | sound heard when a word was sure, after its end
        emission_delay_90_ms     | ms    | lower  | Emission delay, 90 of 100 | what nine words of ten do not exceed
        (emission_num_words)     | count | -      | Words with a delay | how many words these figures are over""",
    ("attention", "boxes of words"): """
        pointing_accuracy        | share | higher | Pointing accuracy | words whose peak cell points into a true box
        (pointing_uniform)       | share | -      | Pointing by a uniform map | what it reaches on the same words
        (pointing_center)        | share | -      | Always the center | what pointing at the center reaches
        box_mass_gain            | score | higher | Box weight above uniform | less what a uniform map has
        (box_mass_uniform)       | score | -      | Box weight of a uniform map | the share of right cells
        (box_mass_gain_center)   | score | -      | Box weight above uniform, the center | the same of a central map
        box_iou                  | score | higher | Overlap with the box | right and bright cells over either
        (box_iou_uniform)        | score | -      | Overlap of a uniform map | what it reaches on the same words
        (box_iou_center)         | score | -      | Overlap of a central map | what it reaches on the same words
        (pointing_accuracy_next) | share | higher | Pointing accuracy, next token | by the map of the token after
        (box_mass_gain_next)     | score | higher | Box weight above uniform, next token | by the map of the token after
        (box_iou_next)           | score | higher | Overlap with the box, next token | by the map of the token after
        (pointing_num_words)     | count | -      | Words with boxes | how many words these figures are over""",
    ("attention", "times of words"): """
        onset_error_ms           | ms    | lower  | Word onset error | median distance from the true start of a word
        (onset_even_ms)          | ms    | -      | Words spread evenly | the onset error that this would have
        (offset_error_ms)        | ms    | lower  | Word offset error | median distance from the true end of a word
        (offset_even_ms)         | ms    | -      | Ends spread evenly | the offset error that this would have
        word_times_f1_50_ms      | share | higher | Words in time, F1 at 50 ms | the true word, start and end so near
        word_times_f1_100_ms     | share | higher | Words in time, F1 at 100 ms | the same
        word_times_f1_200_ms     | share | higher | Words in time, F1 at 200 ms | the same
        (onset_num_words)        | count | -      | Words with times | how many words these figures are over""",
    ("attention", "times of words and a CTC head"): """
        (ctc_word_times_f1_50_ms) | share | higher | Words in time, F1 at 50 ms, CTC | by CTC without attention
        (ctc_word_times_f1_100_ms) | share | higher | Words in time, F1 at 100 ms, CTC | the same
        (ctc_word_times_f1_200_ms) | share | higher | Words in time, F1 at 200 ms, CTC | the same""",
    ("attention", "source words of words"): """
        alignment_accuracy       | share | higher | Alignment accuracy | words whose peak is in the right source word
        (alignment_uniform)      | share | -      | Alignment by a uniform map | what it reaches on the same words
        alignment_mass_gain      | score | higher | Source word weight above uniform | less what a uniform map has
        (alignment_num_words)    | count | -      | Words with source words | how many words these figures are over""",
    ("texts", "source texts"): """
        unknown_words            | share | higher | Unknown words written | that references and source have
        (unknown_num_words)      | count | -      | Unknown words | how many words this figure is over
        names_written            | share | higher | Names written | that references and source have
        (names_num_words)        | count | -      | Names | how many words this figure is over""",
    ("attention", "a decoder that copies"): """
        copy_accuracy            | share | higher | Copy accuracy | copied tokens whose peak holds this token
        copy_share               | share | -      | Copied | tokens with half of their probability or more from there
        (copy_num_tokens)        | count | -      | Copied tokens | how many tokens the copy accuracy is over""",
    ("attention", "a decoder that copies, source words of words"): """
        copy_place_accuracy      | share | higher | Copied from the right place | copied tokens whose peak is there
        copy_probability_true    | score | higher | Copying where it is right | the probability, at words of the source
        copy_probability_other   | score | lower  | Copying where it is not | the probability, at inferred words""",
    ("attention", ""): """
        attention_entropy        | score | -      | Attention entropy | 1 is uniform, 0 a single cell
        attention_peak           | score | -      | Attention peak | the largest weight of a map
        attention_effective_cells | number | -    | Effective cells | cells of equal weight with the same entropy
        attention_coverage       | share | -      | Cells attended | cells that ever have more than the uniform share
        attention_top_cell       | share | -      | Weight on the top cell | a text's most visited cell
        attention_sink           | share | -      | Weight on a sink | on cells that get it whatever the word
        (collapse_cell)          | share | lower  | Stuck on a cell | weight on one cell, over all validation texts
        (collapse_sink)          | share | lower  | Stuck on a sink | the same, over all validation texts
        (collapse_repeats)       | share | lower  | Texts in circles | texts that repeat themselves three times""",
    ("attention", "recordings"): """
        (collapse_quiet)         | share | lower  | Weight on silence | weight on steps with nothing to hear""",
    ("attention", "recordings or texts"): """
        attention_monotonicity   | share | -      | Steps forward | steps whose peak does not move back
        attention_diagonality    | score | -      | Diagonality | 1 moves evenly with the text, 0 not, -1 backwards
        attention_repeats        | share | -      | Cells come back to | of the attended cells
        attention_skips          | share | -      | Cells passed over | of those between the outer attended ones""",
    ("faithfulness", "faithfulness=true"): """
        faithfulness_deletion    | nats  | higher | Faithfulness, deletion | harm of losing its cells over random ones
        faithfulness_insertion   | nats  | higher | Faithfulness, insertion | help of its cells over random ones
        faithfulness_input_deletion | nats | higher | Faithfulness, deletion in the source | of the source's parts
        faithfulness_input_insertion | nats | higher | Faithfulness, insertion in the source | of the source's parts
        (faithfulness_num_words) | count | -      | Words followed | how many words these figures are over""",
    ("cost", ""): """
        num_parameters           | count | -      | Parameters | of the model
        step_ms                  | ms    | lower  | Training step | median time of a step
        peak_memory_mb           | MB    | lower  | Peak memory | the most that training held at a time
        loss                     | score | lower  | Loss | the weighted sum of the objectives""",
    ("counts", ""): """
        num_examples             | count | -      | Examples | sources that were evaluated
        num_skipped              | count | lower  | Skipped files | could not be read; skipped.txt lists them
        num_cut                  | count | lower  | Sources cut off | longer than data.max_source_tokens; cut.txt
        num_empty                | count | lower  | Empty texts | texts without a word
        num_looped               | count | lower  | Looped texts | texts that end in the same tokens four times in a row
        num_hit_max_length       | count | lower  | Texts cut off | texts that reached the greatest length""",
    ("counts", "word_times=ctc"): """
        num_without_ctc_path     | count | lower  | Texts without CTC times | more tokens than CTC finds room for""",
}
