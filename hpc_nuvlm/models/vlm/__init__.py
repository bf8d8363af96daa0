"""Vision-language models; the only folder that knows transformers, peft and bitsandbytes."""
