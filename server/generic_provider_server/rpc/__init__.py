"""The contract, served: messages are decoded, a service is called, its answer is encoded."""
