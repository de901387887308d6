// References of images, as the engines read them: "busybox" is docker.io/library/busybox:latest. Text only.
#pragma once

#include <string>
#include <string_view>

namespace fallow::agent {

/// Registry and path, without tag and digest: all references with one of these are of one repository.
[[nodiscard]] std::string repository_of(std::string_view reference);
/// The first part of that: "docker.io", "registry.example:5000".
[[nodiscard]] std::string registry_of(std::string_view reference);
/// Whether it names one manifest by what that contains: "r.example/a@sha256:…".
[[nodiscard]] bool names_a_digest(std::string_view reference);
/// Whether the engine has found the image `id` not by a name but by that id, or the beginning of it. An id
/// says nothing of a registry, and so nothing of who may have the image.
[[nodiscard]] bool is_image_id(std::string_view reference, std::string_view id);

}  // namespace fallow::agent
