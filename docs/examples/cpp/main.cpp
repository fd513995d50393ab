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

int main(int count, char** arguments) try {
  if (count != 4 && count != 5)
    throw std::runtime_error("usage: EXPORTED_FOLDER VIDEO TRACKS.txt [MOTION.txt]");
  const std::string video = arguments[2], tracks = arguments[3];
  stdet::Detector detector(arguments[1]);
  stdet::Tracker tracker(detector.confidence());
  cv::VideoCapture capture(video);
  std::ifstream motions(count == 5 ? arguments[4] : "");
  if (!capture.isOpened()) throw std::runtime_error(video + " cannot be read");
  for (cv::Mat picture; capture.read(picture);) {
    cv::Mat grey, image;
    cv::cvtColor(picture, grey, cv::COLOR_BGR2GRAY);
    grey.convertTo(image, CV_32F, 1 / 255.0);
    std::optional<cv::Matx33d> motion;
    if (count == 5)
      for (double& number : motion.emplace().val) motions >> number;
    if (motion && !motions) throw std::runtime_error("MOTION.txt has too few rows");
    for (const auto& found : detector.push(image, motion)) tracker.push(found);
  }
  for (const auto& found : detector.flush()) tracker.push(found);
  std::ofstream file(tracks);
  file.precision(9);
  for (const auto& [at, found] : tracker.rows())  // Pixels count from 1, too.
    file << at.first << ',' << at.second << ',' << found.box.x + 1 << ',' << found.box.y + 1 << ','
         << found.box.width << ',' << found.box.height << ',' << found.score << ",-1,-1,-1\n";
  if (!file.flush()) throw std::runtime_error(tracks + " cannot be written");
} catch (const std::exception& error) {
  std::cerr << "stdet_track: " << error.what() << '\n';
  return 2;
}
