# The stubs are generated in an environment of their own, by the oldest generator that produces
# typed grpc.aio stubs, because generated code needs libraries at least as new as its generator.
GENERATE := .venv-generate/bin
STUBS := client/generic_provider/v1
PROTOS = $(wildcard protos/generic_provider/v1/*.proto)

.PHONY: generate verify lint-protos

.venv-generate/.ready: protos/generate.lock
	@.ci/make-environment .venv-generate $<
	@touch $@

# generate-into FOLDER
define generate-into
	$(GENERATE)/python -m grpc_tools.protoc --proto_path=protos \
	    --plugin=$(GENERATE)/protoc-gen-mypy --plugin=$(GENERATE)/protoc-gen-mypy_grpc \
	    --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) \
	    $(PROTOS:protos/%=%)
endef

generate: .venv-generate/.ready ## write the stubs of protos/ into client/
	@rm -f $(STUBS)/*_pb2*.py $(STUBS)/*_pb2*.pyi
	$(call generate-into,client)

verify: .venv-generate/.ready ## check that the committed stubs are those of protos/
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(call generate-into,"$$folder") && \
	diff -r --exclude='__*' "$$folder/generic_provider/v1" $(STUBS) || \
	{ echo "The stubs are not those of protos/: run make generate." >&2; exit 1; }

lint-protos: .venv-generate/.ready ## check the style of the contract
	cd protos && ../$(GENERATE)/buf lint
	cd protos && ../$(GENERATE)/buf format --diff --exit-code
