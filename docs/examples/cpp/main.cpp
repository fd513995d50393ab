// Tracks a video with an exported network and writes a MOT file:
//
//   stdet_track EXPORTED_FOLDER VIDEO TRACKS.txt [MOTION.txt]
//
// VIDEO is whatever OpenCV reads, 8 bits deep. MOTION.txt, where the motion of the camera is
// known, has nine numbers per frame: the map (3x3, by rows) of the background from the frame
// before, in continuous pixels.
#include <iostream>
#include <opencv2/videoio.hpp>

#include "tracker.hpp"

static cv::Mat grey_of(const cv::Mat& picture) {
  cv::Mat grey;
  cv::cvtColor(picture, grey, cv::COLOR_BGR2GRAY);
  grey.convertTo(grey, CV_32F);
  return grey / 255;
}

static void track(const char* folder, const char* video, const char* tracks, const char* motions) {
  stdet::Detector detector(folder);
  stdet::Tracker tracker(detector.confidence());
  cv::VideoCapture capture(video);
  std::ifstream motion_file(motions ? motions : "");
  if (!capture.isOpened()) throw std::runtime_error(std::string(video) + " cannot be read");
  for (cv::Mat picture; capture.read(picture);) {
    std::optional<cv::Matx33d> motion;
    if (motions)
      for (double& number : motion.emplace().val) motion_file >> number;
    if (motions && !motion_file) throw std::runtime_error(std::string(motions) + " is too short");
    for (const auto& found : detector.push(grey_of(picture), motion)) tracker.push(found);
  }
  for (const auto& found : detector.flush()) tracker.push(found);
  std::ofstream file(tracks);
  file.precision(9);
  for (const auto& [at, found] : tracker.rows())  // Pixels count from 1, too.
    file << at.first << ',' << at.second << ',' << found.box.x + 1 << ',' << found.box.y + 1 << ','
         << found.box.width << ',' << found.box.height << ',' << found.score << ",-1,-1,-1\n";
  if (!file.flush()) throw std::runtime_error(std::string(tracks) + " cannot be written");
}

int main(int count, char** arguments) try {
  if (count != 4 && count != 5)
    throw std::runtime_error("usage: EXPORTED_FOLDER VIDEO TRACKS.txt [MOTION.txt]");
  track(arguments[1], arguments[2], arguments[3], count == 5 ? arguments[4] : nullptr);
} catch (const std::exception& error) {
  std::cerr << "stdet_track: " << error.what() << '\n';
  return 2;
}
