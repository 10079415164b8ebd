"""Who should be compared and cannot be had from the registries that deploy/deps.sh uses, and why."""

WHY = {
    "geesefs": "the Go module proxy refuses github.com/yandex-cloud/geesefs",
    "goofys": "the Go module proxy refuses github.com/kahing/goofys",
    "Run:ai model streamer": "runai-model-streamer 0.17 cannot be installed without torch",
}
