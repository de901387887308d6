// What ROCm's system management library (librocm_smi64) tells of AMD's cards, opened at run time. It adds
// to the kernel's files (amdgpu.hpp), which stand without it: the product's name above all. The
// declarations are our own, after the documented interface (rocm_smi.h), so that nothing of AMD's is needed
// to build.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/inventory.hpp"

namespace fallow::agent {

/// The name that is tried first; where it is not there, those of other versions are.
inline constexpr const char* rocm_library_default = "librocm_smi64.so.1";

/// By their PCI addresses, with no more than what the library tells: they are no cards by themselves. Empty
/// when there is no library, or it refuses. A partition of a card is left out.
[[nodiscard]] std::vector<CardFacts> rocm_cards(const std::string& library);

/// "0000:43:00.0", of rsmi_dev_pci_id_get's number: domain in bits 63 to 32, bus in 15 to 8, device in 7 to
/// 3, function in 2 to 0.
[[nodiscard]] std::string pci_address_of(std::uint64_t id);

/// What is not known of `cards` yet is taken from those that were `told` of the same PCI address. Who a
/// card is does not change: it would be another one as soon as the library is removed.
void fill_in(std::vector<CardFacts>& cards, const std::vector<CardFacts>& told);

}  // namespace fallow::agent
