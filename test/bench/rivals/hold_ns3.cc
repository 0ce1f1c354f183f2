// The HOLD model on ns-3: each event schedules its successor. Prints seconds, then the clock at the last event.
// Usage: hold_ns3 PENDING EVENTS SCHEDULER, such as ns3::MapScheduler (ns-3's default) or ns3::PriorityQueueScheduler.
// The delays are those of test/bench/kernel.ts: a table of 65,536 from one LCG.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ns3/object-factory.h"
#include "ns3/simulator.h"

static std::vector<ns3::Time> delays;
static uint64_t drawn = 0;
static uint64_t left;

static void Hold() {
  if (--left == 0) ns3::Simulator::Stop();
  ns3::Simulator::Schedule(delays[drawn++ & 65535], &Hold);
}

int main(int, char** argv) {
  const uint64_t pending = std::strtoull(argv[1], nullptr, 10);
  left = std::strtoull(argv[2], nullptr, 10);
  ns3::ObjectFactory scheduler;
  scheduler.SetTypeId(argv[3]);
  ns3::Simulator::SetScheduler(scheduler);

  uint32_t state = 12345;
  for (int i = 0; i < 65536; i++) {
    state = state * 1664525u + 1013904223u;
    delays.push_back(ns3::NanoSeconds(static_cast<int64_t>(std::floor(-std::log((state + 0.5) / 4294967296.0) * 1000 + 0.5))));
  }
  for (uint64_t i = 0; i < pending; i++) ns3::Simulator::Schedule(delays[drawn++ & 65535], &Hold);

  const auto begin = std::chrono::steady_clock::now();
  ns3::Simulator::Run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%.9f %lld\n", seconds.count(), static_cast<long long>(ns3::Simulator::Now().GetNanoSeconds()));
  ns3::Simulator::Destroy();
}
