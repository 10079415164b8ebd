#include "tests/support/origin/body.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace modelfs::test {
namespace {

std::string_view DefaultCode(int status) {
  switch (status) {
    case 301: return "PermanentRedirect";
    case 307: return "TemporaryRedirect";
    case 403: return "AccessDenied";
    case 404: return "NoSuchKey";
    case 412: return "PreconditionFailed";
    case 503: return "SlowDown";
    default: return status >= 500 ? "InternalError" : "InvalidRequest";
  }
}

void ReplaceByError(const Fault& fault, const std::string& resource, S3Reply& reply) {
  S3Reply error = ErrorReply(
      {fault.status, fault.code.empty() ? std::string(DefaultCode(fault.status)) : fault.code,
       "A scripted fault."},
      resource);
  if (fault.retry_after) error.SetHeader("Retry-After", fmt::to_string(*fault.retry_after));
  if (fault.kind == Fault::Kind::kRedirect) {
    error.SetHeader("Location", fault.location);
  }
  reply = std::move(error);
}

void ApplyToObject(const Fault& fault, S3Reply& reply) {
  if (!reply.object) return;
  using enum Fault::Kind;
  switch (fault.kind) {
    case kWrongContentRange:
      reply.SetHeader("Content-Range", fmt::format("bytes {}-{}/{}", reply.range.begin + 1,
                                                   reply.range.end, reply.object->info.size_bytes));
      break;
    case kIgnoreRange:
      reply.status = 200;
      reply.range = {0, reply.object->info.size_bytes};
      std::erase_if(reply.headers, [](const auto& h) { return h.first == "Content-Range"; });
      break;
    case kStaleEtag: reply.SetHeader("ETag", "\"00000000000000000000000000000000\""); break;
    default: break;
  }
}

void ApplyToPlan(const Fault& fault, BodyPlan& plan) {
  using enum Fault::Kind;
  switch (fault.kind) {
    case kShortBody: plan.length -= std::min(plan.length, fault.count_bytes); break;
    case kLongBody: plan.length += fault.count_bytes; break;
    case kDrop: plan.drop_after = fault.count_bytes; break;
    case kStall: plan.stall_after = fault.count_bytes; break;
    case kFlipByte: plan.flip_at = fault.count_bytes; break;
    case kRate: plan.rate = fault.rate; break;
    case kChunked: plan.chunked = true; break;
    default: break;
  }
}

}  // namespace

BodyPlan ApplyFaults(const std::vector<Fault>& faults, const std::string& resource,
                     S3Reply& reply) {
  using enum Fault::Kind;
  for (const Fault& fault : faults) {
    if (fault.kind == kStatus || fault.kind == kRedirect) ReplaceByError(fault, resource, reply);
    if (fault.kind == kGzipHeader) reply.SetHeader("Content-Encoding", "gzip");
    if (fault.kind == kBrokenXml) reply.text.resize(reply.text.size() / 2);
    ApplyToObject(fault, reply);
  }
  BodyPlan plan;
  plan.length = reply.object ? reply.range.size() : reply.text.size();
  for (const Fault& fault : faults) ApplyToPlan(fault, plan);
  return plan;
}

bool BodyStream::Fill(std::uint64_t position, std::span<std::byte> out) const {
  const S3Reply& reply = options_.reply;
  const std::uint64_t length = reply.object ? reply.range.size() : reply.text.size();
  std::size_t done = 0;
  while (done < out.size()) {
    const std::span<std::byte> rest = out.subspan(done);
    const std::uint64_t at = position + done;
    if (at >= length) {
      std::memset(rest.data(), 'x', rest.size());
      return true;
    }
    const std::size_t n = std::min<std::uint64_t>(rest.size(), length - at);
    if (!reply.object) {
      std::memcpy(rest.data(), reply.text.data() + at, n);
      done += n;
      continue;
    }
    const auto read = reply.object->ReadAt(reply.range.begin + at, rest.first(n));
    if (!read || *read == 0) return false;  // The file failed or shrank below the answer.
    done += *read;
  }
  return true;
}

ssize_t BodyStream::Read(std::uint64_t position, char* out, std::size_t size) {
  BodyPlan& plan = options_.plan;
  if (position >= plan.length) return kEnd;
  if (plan.drop_after && position >= *plan.drop_after) return kBroken;
  if (plan.stall_after && position >= *plan.stall_after) {
    plan.stall_after.reset();
    if (!options_.link->Stall(options_.gone)) return kBroken;
  }
  std::uint64_t want = std::min<std::uint64_t>(size, plan.length - position);
  if (plan.drop_after) want = std::min(want, *plan.drop_after - position);
  if (plan.stall_after) want = std::min(want, *plan.stall_after - position);
  const std::size_t n = options_.link->Acquire(*options_.pace, want, plan.rate, options_.gone);
  if (n == 0) return kBroken;
  const std::span<std::byte> bytes(reinterpret_cast<std::byte*>(out), n);
  if (!Fill(position, bytes)) return kBroken;
  if (plan.flip_at && *plan.flip_at >= position && *plan.flip_at < position + n) {
    bytes[*plan.flip_at - position] ^= std::byte{1};
  }
  options_.log->AddBytes(*options_.record, static_cast<std::int64_t>(n));
  return static_cast<ssize_t>(n);
}

}  // namespace modelfs::test
