"""Texts of a Hugging Face data set, and a transformer of theirs as the backbone."""

import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from metaux import MetauxClassifier
from metaux.data.texts import encode, learn_tokens

# Any data set with texts and labels, such as datasets.load_dataset("imdb", split="train").
weather = ["sun", "warm", "dry", "light"], ["rain", "cold", "wet", "dark"]
rows = [{"text": f"it is {a} and {b}", "label": kind} for kind in (0, 1) for a in weather[kind] for b in weather[kind]]
data = Dataset.from_list(rows).shuffle(seed=0)
texts = data["text"][:]
ids, _ = encode(texts, learn_tokens(texts))  # or those of a tokenizer of your own


class Backbone(nn.Module):
    """A tiny BERT; BertModel.from_pretrained would bring learned weights."""

    def __init__(self) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=int(ids.max()) + 1,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=ids.shape[1],
            attn_implementation="eager",
        )
        self.bert = BertModel(config, add_pooling_layer=False)

    def forward(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.bert(tokens).last_hidden_state.mean(1)
        return features


torch.manual_seed(0)
classifier = MetauxClassifier(Backbone(), "maxl", subclasses=2, epochs=15, batch_size=8, random_state=0)
classifier.fit(ids, data["label"][:])
print(f"accuracy {classifier.score(ids, data['label'][:]):.3f} on {len(data)} training texts")
